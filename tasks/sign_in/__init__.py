"""Who is signed in to the app: whose access token of Supabase a request carries.

Refuses to sign anybody in, and to ask for anything but public keys.
"""
