//! Whether what runs is what was described: decisions of plain values, for `coalmine-worker drift`.
//!
//! ```text
//!   terraform ─► Described ─┐
//!                           ├─► judge ─► Finding ─► report
//!   aws (commands/drift) ───┘     │ compare
//!                                 └─► imports
//! ```
//!
//! A release changes images, and nothing else that Terraform owns. So a difference in images alone is what a release
//! leaves behind, and any other one is a change that is on its way, or that somebody made by hand.

pub mod change;
pub mod compare;
pub mod imports;
pub mod judge;
pub mod report;
pub mod terraform;
