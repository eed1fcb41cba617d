"""Scripts: small coroutines that turn one request into many renderings and put the pictures together."""
