"""The release: brings a database to the schema that the SQL files of db/ describe."""
