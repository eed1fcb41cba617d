"""What stands around the forms: queue, memory, defaults, cards, the page's menu."""
