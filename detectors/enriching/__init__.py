"""What only an organisation has, added to rows of sign-in logs: its people (`entities`) and its own
address databases (`mmdb`). `inputs` puts both together. docs/inputs.md describes the files.
"""
