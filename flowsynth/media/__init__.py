"""Reading and writing video and picture files with PyAV and Pillow."""
