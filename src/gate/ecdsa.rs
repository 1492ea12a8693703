//! ECDSA signatures in the two forms they come in: r and s side by side, as XML Signature and JWS have them, and DER, as `openssl dgst`
//! has them.

/// SEQUENCE { INTEGER r, INTEGER s } (RFC 3279, 2.2.3), of two numbers of the same curve, most significant octet first.
pub fn der_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut inside = Vec::new();
    for number in [r, s] {
        let digits = &number[number.iter().position(|octet| *octet != 0).unwrap_or(number.len() - 1)..];
        let sign = usize::from(digits[0] >= 0x80);
        inside.extend_from_slice(&[0x02, (digits.len() + sign) as u8]);
        inside.extend_from_slice(&[0][..sign]);
        inside.extend_from_slice(digits);
    }
    // At most 2 × (2 + 67) octets: one length octet after 0x81 will do.
    let mut der = vec![0x30];
    if inside.len() >= 0x80 {
        der.push(0x81);
    }
    der.push(inside.len() as u8);
    der.append(&mut inside);
    der
}
