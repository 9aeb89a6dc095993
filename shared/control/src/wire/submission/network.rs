//! `networkConfiguration`.

use berth_scheduler::id::SubnetId;

use super::request::{AssignPublicIp, AwsvpcConfiguration, NetworkConfiguration};
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;

// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html>
const SUBNETS_MAX: usize = 16;
const SECURITY_GROUPS_MAX: usize = 5;

/// Longer than any id of EC2.
const ID_CHARACTERS_MAX: usize = 64;

/// Reads `networkConfiguration`; an empty object means none.
pub(super) fn decode_network_configuration(
    field: &Field<'_>,
) -> Result<Option<NetworkConfiguration>, Refusal> {
    let object = field.object("an object with `awsvpcConfiguration`")?;
    let mut configuration = None;
    for (name, field) in object.fields() {
        match name {
            "awsvpcConfiguration" => configuration = Some(decode_awsvpc(&field)?),
            _ => return Err(field.unknown(&["awsvpcConfiguration"])),
        }
    }
    Ok(configuration.map(|awsvpc_configuration| NetworkConfiguration { awsvpc_configuration }))
}

fn decode_awsvpc(field: &Field<'_>) -> Result<AwsvpcConfiguration, Refusal> {
    let object = field.object("an object with `subnets`, `securityGroups` and `assignPublicIp`")?;
    let (mut subnets, mut security_groups, mut assign_public_ip) = (Vec::new(), Vec::new(), None);
    for (name, field) in object.fields() {
        match name {
            "subnets" => {
                subnets = decode_ids(&field, "subnet-", SUBNETS_MAX, |id| SubnetId::parse(id).ok())?;
                if subnets.is_empty() {
                    return Err(field.refuse_value("names no subnet", "1 to 16 ids of subnets"));
                }
            }
            "securityGroups" => {
                security_groups = decode_ids(&field, "sg-", SECURITY_GROUPS_MAX, security_group)?
            }
            "assignPublicIp" => {
                assign_public_ip = Some(field.choice(&[
                    ("DISABLED", AssignPublicIp::Disabled),
                    ("ENABLED", AssignPublicIp::Enabled),
                ])?);
            }
            _ => return Err(field.unknown(&["subnets", "securityGroups", "assignPublicIp"])),
        }
    }
    if subnets.is_empty() {
        return Err(object.missing("subnets", "1 to 16 ids of subnets"));
    }
    Ok(AwsvpcConfiguration {
        subnets,
        security_groups,
        assign_public_ip,
    })
}

/// The id of a security group, which nothing looks into.
fn security_group(id: &str) -> Option<String> {
    let rest = id.strip_prefix("sg-").filter(|rest| !rest.is_empty())?;
    let is_id = rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id.then(|| id.to_owned())
}

fn decode_ids<T>(
    field: &Field<'_>,
    prefix: &str,
    ids_max: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    let give = format!("an id such as `{prefix}0a1b2c3d`");
    let decode_id = |item: &Field<'_>| {
        let id = item.line(ID_CHARACTERS_MAX, &give)?;
        read(id).ok_or_else(|| item.refuse_value("is no such id", &give))
    };
    field.items(ids_max, "ids")?.iter().map(decode_id).collect()
}
