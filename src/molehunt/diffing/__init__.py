"""What changed between two revisions: in the rules, in their compiled queries, in what fires.

`revision` reads a revision of a Git repository, `changes` compares plain values, `render` writes
text or Markdown.
"""
