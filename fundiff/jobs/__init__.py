"""Many pictures by the number: orders painted in parts that can be shared, and the best chosen."""
