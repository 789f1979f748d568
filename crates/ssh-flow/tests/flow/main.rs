//! What the containment promises, between real russh sessions: nothing stalls anything else, nothing is lost, memory is bounded.

mod foreign;
mod harness;
mod load;
mod openssh;
mod own;
mod stream;
