//! An event's life: its state, the commands it takes, the facts they make. `decide` then `apply`, both pure.

pub mod command;
pub mod fact;
pub mod gate;
pub mod state;
pub mod transition;

pub use command::{Command, PlanInput, Rejection, decide};
pub use fact::{Fact, Who};
pub use gate::Gate;
pub use state::{ContentItem, Event};
pub use transition::{Move, Status};
