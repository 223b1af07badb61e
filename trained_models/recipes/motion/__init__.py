"""How the built-in motion model was made: rendered albums, the patches' networks, the bundle, the avatars."""
