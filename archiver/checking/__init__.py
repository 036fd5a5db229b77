"""Looking at links: fetching politely and safely, reading pages, judging, believing."""
