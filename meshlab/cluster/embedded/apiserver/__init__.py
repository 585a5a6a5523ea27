"""A Kubernetes API server on aiohttp and SQLite. Start reading at `server.py`: it draws the pipeline."""
