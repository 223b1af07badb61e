"""How the built-in motion model was made: rendered people, the' networks, the bundle, the avatars."""
