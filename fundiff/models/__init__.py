"""Models with weights: text-to-image in DeepFloyd IF's format, encoders, where they run."""
