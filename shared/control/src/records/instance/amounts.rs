//! Demands and resources in words, `256c 512m 1g 1e tcp80,443 udp53`: CPU units, MiB, then, unless there are none,
//! GPUs, network interfaces and host ports by protocol, in rising order. `ecs` stands for the TCP ports that the ECS
//! agent keeps for itself on every instance.

use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::resources::{Demand, HostPorts, PortSet, Resources};

use super::super::form::TextForm;
use super::words::{Words, whole, with_unit};

/// SSH, Docker and the agent:
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>.
const AGENT_PORTS: [u16; 5] = [22, 2_375, 2_376, 51_678, 51_679];

const CPU: &str = "CPU units like `256c`";
const MEMORY: &str = "MiB like `512m`";
const REST: &str = "GPUs like `1g`, `ecs`, ports like `tcp80,443` or `udp53`, or the end";

pub(super) fn demand_text(demand: &Demand) -> String {
    let (cpu, memory) = (demand.cpu.get(), demand.memory.get());
    let gpus = counted(demand.gpu.get(), 'g');
    let interfaces = counted(demand.eni.get(), 'e');
    let ports = ports_text(&demand.ports.tcp, &demand.ports.udp);
    format!("{cpu}c {memory}m{gpus}{interfaces}{ports}")
}

pub(super) fn read_demand(words: &mut Words<'_>) -> Result<Demand, String> {
    Ok(Demand {
        cpu: CpuUnits::new(words.next(CPU, |word| with_unit(word, 'c'))?),
        memory: MemoryMib::new(words.next(MEMORY, |word| with_unit(word, 'm'))?),
        gpu: GpuCount::new(read_counted(words, 'g')),
        eni: EniCount::new(read_counted(words, 'e')),
        ports: read_ports(words),
    })
}

impl TextForm for Resources {
    fn text(&self) -> String {
        let (cpu, memory) = (self.cpu.get(), self.memory.get());
        let gpus = counted(self.gpu.get(), 'g');
        let taken = &self.ports_taken;
        let agent: PortSet = AGENT_PORTS.into_iter().collect();
        if !agent.is_subset(&taken.tcp) {
            return format!("{cpu}c {memory}m{gpus}{}", ports_text(&taken.tcp, &taken.udp));
        }
        let others: PortSet = taken.tcp.iter().filter(|port| !agent.contains(*port)).collect();
        format!("{cpu}c {memory}m{gpus} ecs{}", ports_text(&others, &taken.udp))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let mut words = Words::of(text);
        let cpu = CpuUnits::new(words.next(CPU, |word| with_unit(word, 'c'))?);
        let memory = MemoryMib::new(words.next(MEMORY, |word| with_unit(word, 'm'))?);
        let gpu = GpuCount::new(read_counted(&mut words, 'g'));
        let is_agent_there = words.takes("ecs");
        let mut ports_taken = read_ports(&mut words);
        if is_agent_there {
            ports_taken.tcp.insert_all(&AGENT_PORTS.into_iter().collect());
        }
        words.end(REST)?;
        Ok(Self {
            cpu,
            memory,
            gpu,
            ports_taken,
        })
    }
}

fn counted(number: u32, unit: char) -> String {
    match number {
        0 => String::new(),
        number => format!(" {number}{unit}"),
    }
}

/// None at all is left out.
fn read_counted(words: &mut Words<'_>, unit: char) -> u32 {
    let counted = words.next_if(|word| with_unit(word, unit).filter(|number| *number > 0));
    counted.unwrap_or(0)
}

fn ports_text(tcp: &PortSet, udp: &PortSet) -> String {
    let text = |protocol, ports: &PortSet| {
        let ports: Vec<String> = ports.iter().map(|port| port.to_string()).collect();
        match ports.as_slice() {
            [] => String::new(),
            ports => format!(" {protocol}{}", ports.join(",")),
        }
    };
    text("tcp", tcp) + &text("udp", udp)
}

fn read_ports(words: &mut Words<'_>) -> HostPorts {
    let mut read = |protocol| words.next_if(|word| rising_ports(word.strip_prefix(protocol)?));
    HostPorts {
        tcp: read("tcp").unwrap_or_default(),
        udp: read("udp").unwrap_or_default(),
    }
}

fn rising_ports(text: &str) -> Option<PortSet> {
    let ports: Option<Vec<u16>> = text.split(',').map(whole).collect();
    ports
        .filter(|ports| ports.is_sorted_by(|one, next| one < next))
        .map(|ports| ports.into_iter().collect())
}
