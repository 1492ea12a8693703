//! The file profile, all of it: names, elements, groups. The TMAD's own text and schema are not in hand; what stands
//! here is Postern's profile of the public terms, so that the real schema can replace this module.

pub mod demand;
pub mod distributor;
pub mod header;
pub mod listed;
pub mod mcf;
pub mod mgef;
pub mod names;
pub mod notice;
pub mod plaintext;
pub mod result;
pub mod sets;
pub mod signing;
pub mod sim_index;
pub mod sim_list;
pub mod sim_outcomes;
pub mod sim_split;

mod values;
