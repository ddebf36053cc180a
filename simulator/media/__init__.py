"""Real media: every file here opens in the decoder its suffix promises, with the size and length that were asked for.

What a file shows or plays is derived from the prompt, so a person sees at a glance whose output it is, and a test gets
the same material every time.
"""
