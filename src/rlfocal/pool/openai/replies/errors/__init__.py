"""Why a server refuses, whatever shape, codes and words it has for it, and how long to wait."""
