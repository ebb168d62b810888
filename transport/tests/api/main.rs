//! The contract, through the public API: one server for all tests, a new owner for each.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

mod accounts;
mod auth;
mod boot;
mod canary;
mod config;
mod connections;
mod contract;
mod cuts;
mod demo;
mod details;
mod elsewhere;
mod endings;
mod entries;
mod gate;
mod input;
mod journey;
mod limits;
mod lists;
mod live;
mod logins;
mod modes;
mod ops;
mod origins;
mod outage;
mod pictures;
mod process;
mod published;
mod reach;
mod repeats;
mod restore;
mod retention;
mod scans;
mod sockets;
mod standins;
mod support;
mod texts;
mod tls;
mod visits;
