"""One module per command: `run(options) -> Exit`. Input and output happen here."""
