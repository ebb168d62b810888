#![doc = include_str!("../README.md")]

mod access_log;
mod address;
pub mod admin;
pub mod auth;
pub mod boot;
pub mod cli;
mod clicks;
mod codings;
pub mod config;
pub mod demo;
mod descriptors;
mod draw_file;
mod error;
mod extract;
mod gateway;
mod home;
mod http;
mod messages;
pub mod openapi;
mod origins;
mod password_rule;
mod policy;
mod ratelimit;
pub mod restored;
mod revocations;
pub mod server;
mod state;
mod tally;
pub mod telemetry;
mod throttle;
mod verify;
mod web;
mod ws;

pub use boot::Running;
pub use config::Settings;
