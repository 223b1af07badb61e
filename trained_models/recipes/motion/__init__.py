"""How the built-in motion model was made: rendered people, the refiner, the flow network, the bundle, the avatars."""
