"""The keys of a target: a module each, called as the key is, which offers ``POLICY``, a `keys.TargetPolicy`."""
