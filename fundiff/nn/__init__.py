"""Networks of the book's Part B, from small blocks."""
