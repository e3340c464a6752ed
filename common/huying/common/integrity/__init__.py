"""Nobody rewrites, nobody withholds: witnesses, forks, lost and spoilt entries, the way back."""
