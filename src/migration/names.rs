//! The closed vocabularies of the profile (interface, sections 1 to 3).

/// The profile's namespace, prefix `m` in what Postern writes.
pub const NAMESPACE: &str = "urn:postern:smets1-migration:1";

/// Makes an enum of words with `as_str`, `from_word` and `Display`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word, in the order of the profile.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The value of a word, exactly as written.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Who may read a decrypted element.
    Role {
        /// SMETS1 Service Provider.
        S1sp = "S1SP",
        /// Dual Control Organisation.
        Dco = "DCO",
    }
}

words! {
    /// The two elements that are encrypted.
    Element {
        /// A device's master key; for the DCO.
        MasterKey = "EncryptedMasterKey",
        /// What the S1SP needs to reach the group; for the S1SP.
        S1spGroupInformation = "EncryptedS1SPGroupInformation",
    }
}

impl Element {
    /// The role whose key the element must be encrypted under.
    pub const fn role(self) -> Role {
        match self {
            Element::MasterKey => Role::Dco,
            Element::S1spGroupInformation => Role::S1sp,
        }
    }

    /// The queue that the element's content goes to.
    pub const fn queue(self) -> Queue {
        match self {
            Element::MasterKey => Queue::Dco,
            Element::S1spGroupInformation => Queue::S1sp,
        }
    }
}

words! {
    /// Where validated content goes.
    Queue {
        /// Content for the S1SP.
        S1sp = "s1sp",
        /// Content for the DCO.
        Dco = "dco",
        /// Validated installations of Migration Common Files.
        Common = "common",
    }
}

words! {
    /// DeviceType of the profile.
    DeviceType {
        /// Electricity meter.
        Esme = "ESME",
        /// Gas meter.
        Gsme = "GSME",
        /// Gas proxy function.
        Gpf = "GPF",
        /// Communications hub function.
        Chf = "CHF",
        /// Prepayment interface.
        Ppmid = "PPMID",
        /// In-home display.
        Ihd = "IHD",
        /// Consumer access device.
        Cad = "CAD",
        /// Auxiliary load control switch.
        Hcalcs = "HCALCS",
    }
}

words! {
    /// MeterStatus of a Migration Common File.
    MeterStatus {
        /// All meters active.
        Active = "Active",
        /// All meters dormant.
        Dormant = "Dormant",
        /// Some of each.
        Mixed = "Mixed",
    }
}

words! {
    /// A field of S1SPGroupInformation that a group may require.
    S1spField {
        /// The SIM's subscriber identity, 15 digits.
        Imsi = "IMSI",
        /// The SIM's static address.
        StaticIp = "StaticIP",
    }
}

words! {
    /// The kind of a location: what its sender may drop there.
    LocationKind {
        /// Migration files from an SMSO: MGEF and MCF.
        Migration = "migration",
        /// Early validation for a supplier: MCF, nothing is forwarded.
        EarlyValidation = "early-validation",
        /// Daily Migration Demand from a supplier.
        Demand = "demand",
        /// SIM lists from a communications provider.
        Sim = "sim",
    }
}

words! {
    /// A signature algorithm that a location may allow, by its fragment name.
    SignatureAlgorithm {
        /// ECDSA on P-256 with SHA-256.
        EcdsaSha256 = "ecdsa-sha256",
        /// ECDSA on P-384 with SHA-384.
        EcdsaSha384 = "ecdsa-sha384",
        /// RSA PKCS#1 v1.5 with SHA-256, 2048 bits and more.
        RsaSha256 = "rsa-sha256",
    }
}

words! {
    /// The algorithm of a register key.
    KeyAlgorithm {
        /// ECDH-ES on P-256.
        P256 = "P-256",
        /// ECDH-ES on P-384.
        P384 = "P-384",
        /// RSA-OAEP, 2048 bits.
        Rsa2048 = "RSA-2048",
        /// RSA-OAEP, 3072 bits.
        Rsa3072 = "RSA-3072",
        /// RSA-OAEP, 4096 bits.
        Rsa4096 = "RSA-4096",
    }
}

words! {
    /// The state of a register key.
    KeyState {
        /// Waits for approval; decrypts nothing.
        Proposed = "proposed",
        /// In use within its days.
        Active = "active",
        /// Refused from now on.
        Revoked = "revoked",
    }
}

/// What a group needs, and what is recorded of it (interface, section 6, `[[group]]`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// GroupID: two capital letters.
    pub id: String,
    /// The encrypted elements it needs.
    pub requires: Vec<Requirement>,
    /// The fields that S1SPGroupInformation must have.
    pub s1sp_information_requires: Vec<S1spField>,
    /// Whether an installation needs both files, a group file and a common file: a set.
    pub needs_mgef: bool,
    /// Whether S1SPGroupInformation must agree with the communications provider's list of SIMs (14.3).
    pub sim_list: bool,
    /// What must be configured before migration; [`NONE_NEEDED`] states that nothing is.
    pub pre_migration_configuration: Option<String>,
    /// What is configured after migration (7.14); [`NONE_NEEDED`] states that nothing is.
    pub post_migration_configuration: Option<String>,
}

/// The statement that no configuration details are needed.
pub const NONE_NEEDED: &str = "none needed";

/// One encrypted element that a group needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Which element.
    pub element: Element,
    /// For which device types (a master key); empty for an element of the installation.
    pub device_types: Vec<DeviceType>,
}
