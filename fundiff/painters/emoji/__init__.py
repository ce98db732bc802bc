"""The training set of the bundled text-to-image model: free emoji, drawn in many hands."""
