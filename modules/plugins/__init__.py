"""Extensions: what may be hooked into, what is installed, and who calls it."""
