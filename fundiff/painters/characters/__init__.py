"""The small grey pictures that come with the library: their sheets, and how those are made."""
