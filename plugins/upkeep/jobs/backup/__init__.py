"""What a backup means on every engine: published whole with a manifest, restored, compared, and only then trusted."""
