"""Who somebody is: whose access token of the app a request carries, and who opens the console.

Keeps no token and no password, and knows neither settings nor sessions.
"""
