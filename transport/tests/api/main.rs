//! The contract, through the public API: one server for all tests, a new owner for each.

mod auth;
mod canary;
mod entries;
mod input;
mod journey;
mod live;
mod modes;
mod process;
mod support;
