"""The rules of the game: plain Python, data in and data out. Imports neither Flask nor MongoEngine."""
