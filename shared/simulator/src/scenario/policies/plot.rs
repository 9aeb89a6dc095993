//! The stories' figures as a picture.
