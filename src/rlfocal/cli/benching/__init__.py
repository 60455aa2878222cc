"""What `rlfocal bench` needs beside its command: options read, conversations held."""
