//! What holds for every input: what is written reads back, and no bytes make a decoder panic or
//! allocate by a length that somebody announced.

mod event;
mod rpc;
mod sbp;
mod sbrp;
mod session;
mod support;
