//! The life of a task after its placement: queued at the agent, started, running, stopping, stopped, forgotten.

use berth_scheduler::demand::NetworkMode;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, TaskArn};
use berth_scheduler::report::AgentConnection;

use super::error::EcsError;
use super::schedule::Chore;
use super::task::{Binding, Stage, StopCause, Task, TaskNumber};
use super::{STOPPED_TASK_VISIBLE_MS, SimulatedEcs};

impl SimulatedEcs {
    /// Stops a task. Stopping one that stops already changes nothing.
    ///
    /// # Errors
    /// When there is no such cluster or task.
    pub fn stop_task(
        &mut self,
        cluster: &ClusterName,
        task: &str,
        reason: &str,
    ) -> Result<TaskArn, EcsError> {
        let number = self.find_task(cluster, task)?;
        let number = number.ok_or_else(|| EcsError::invalid("The referenced task was not found."))?;
        let cause = StopCause {
            code: "UserInitiated",
            reason: reason.to_owned(),
            exit_code: Some(137),
            container_reason: None,
        };
        self.begin_stop(number, cause);
        let arn = self.tasks.get(&number).map(|task| task.arn.clone());
        arn.ok_or_else(|| EcsError::invalid("The referenced task was not found."))
    }

    /// The planned step of a task is due.
    pub(super) fn take_step(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let instance = self
            .clusters
            .get_mut(&task.cluster)
            .and_then(|it| it.instances.get_mut(&task.instance));
        let Some(instance) = instance else { return };
        if instance.agent == AgentConnection::Disconnected {
            // The agent sees it, but cannot tell before it is connected again.
            instance.unreported.push(number);
            return;
        }
        match task.stage {
            Stage::Starting => self.run(number),
            Stage::Running => {
                let cause = StopCause {
                    code: "EssentialContainerExited",
                    reason: "Essential container in task exited".to_owned(),
                    exit_code: Some(task.exit.code),
                    container_reason: task.exit.reason,
                };
                self.begin_stop(number, cause);
            }
            Stage::Stopping => self.finish_stop(number),
            Stage::Queued | Stage::Stopped => {}
        }
    }

    /// Lets the agent start what it has queued, strictly in the order it came: a task that must wait for
    /// containers to end makes all behind it wait.
    pub(super) fn start_queued(&mut self, cluster: &ClusterName, instance: &ContainerInstanceArn) {
        let Some(instance) = self
            .clusters
            .get_mut(cluster)
            .and_then(|it| it.instances.get_mut(instance))
        else {
            return;
        };
        if instance.agent == AgentConnection::Disconnected {
            return;
        }
        while let Some(number) = instance.queue.front().copied() {
            let Some(task) = self.tasks.get(&number) else {
                instance.queue.pop_front();
                continue;
            };
            if !instance.really_fits(&task.demand, &self.tasks) {
                return;
            }
            instance.queue.pop_front();
            instance.hold(&task.demand);
            let Some(task) = self.tasks.get_mut(&number) else {
                continue;
            };
            task.stage = Stage::Starting;
            task.pulled_at = Some(self.now);
            let at = self.now.saturating_add_millis(self.settings.start_ms);
            task.step = Some(self.schedule.plan_step(at, number));
        }
    }

    fn run(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let instance = self
            .clusters
            .get_mut(&task.cluster)
            .and_then(|it| it.instances.get_mut(&task.instance));
        let Some(instance) = instance else { return };
        task.stage = Stage::Running;
        task.started_at = Some(self.now);
        task.version = task.version.next();
        task.bindings = bindings(task, || instance.dynamic_port());
        let at = self.now.saturating_add_millis(task.duration_ms);
        task.step = Some(self.schedule.plan_step(at, number));
        instance.pending = instance.pending.saturating_sub(1);
        instance.running += 1;
        instance.touch();
        self.tell_task(number);
    }

    /// A task's desired status becomes STOPPED. ECS gives its resources back at this moment.
    /// <https://www.amazonaws.cn/en/new/2023/amazon-ecs-enables-faster-task-launches-on-container-instances-that-have-tasks-with-prolonged-shutdown/>
    pub(super) fn begin_stop(&mut self, number: TaskNumber, cause: StopCause) {
        let Some((cluster, instance, began)) = self.want_stopped(number, cause) else {
            return;
        };
        if began == Stage::Queued
            || self.settings.stop_ms == 0 && self.agent_is_connected(&cluster, &instance)
        {
            self.mark_stopped(number);
            self.tell_task(number);
        } else {
            let at = self.now.saturating_add_millis(self.settings.stop_ms);
            let step = self.schedule.plan_step(at, number);
            if let Some(task) = self.tasks.get_mut(&number) {
                task.step = Some(step);
            }
            self.tell_task(number);
        }
        let changed = self.clusters.get_mut(&cluster);
        changed.and_then(|it| it.change_instance(&instance, |it| it.version = it.version.next()));
        self.tell_instance(&cluster, &instance);
        self.start_queued(&cluster, &instance);
    }

    /// Ends a task that has not stopped, at once, and tells so; its instance's event is left to the caller.
    pub(super) fn stop_at_once(&mut self, number: TaskNumber, cause: StopCause) {
        if self.want_stopped(number, cause).is_none()
            && let Some(task) = self.tasks.get_mut(&number)
        {
            task.version = task.version.next();
        }
        self.mark_stopped(number);
        self.tell_task(number);
    }

    /// Moves a task on its way out, without telling. Answers where it is and in which stage it was; `None`
    /// when it was on its way out already.
    fn want_stopped(
        &mut self,
        number: TaskNumber,
        cause: StopCause,
    ) -> Option<(ClusterName, ContainerInstanceArn, Stage)> {
        let task = self.tasks.get(&number).filter(|task| task.is_wanted())?;
        let began = task.stage;
        let cluster = self.clusters.get_mut(&task.cluster)?;
        cluster.change_instance(&task.instance, |instance| {
            instance.give_back(task, &self.tasks);
            match began {
                Stage::Running => instance.running = instance.running.saturating_sub(1),
                _ => instance.pending = instance.pending.saturating_sub(1),
            }
            if began == Stage::Queued {
                instance.queue.retain(|queued| *queued != number);
                // It never held anything, but it will let go like every other one.
                instance.hold(&task.demand);
            }
        });
        let task = self.tasks.get_mut(&number)?;
        task.stage = Stage::Stopping;
        task.stopping_at = Some(self.now);
        task.cause = Some(StopCause {
            exit_code: cause.exit_code.filter(|_| began == Stage::Running),
            ..cause
        });
        task.version = task.version.next();
        task.step = None;
        Some((task.cluster.clone(), task.instance.clone(), began))
    }

    /// The containers of a stopping task have ended.
    fn finish_stop(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.version = task.version.next();
        let (cluster, instance) = (task.cluster.clone(), task.instance.clone());
        self.mark_stopped(number);
        self.tell_task(number);
        self.start_queued(&cluster, &instance);
    }

    fn mark_stopped(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.stage = Stage::Stopped;
        task.stopped_at = Some(self.now);
        task.step = None;
        if let Some(instance) = self
            .clusters
            .get_mut(&task.cluster)
            .and_then(|it| it.instances.get_mut(&task.instance))
        {
            instance.let_go(&task.demand);
            instance.tasks.remove(&number);
            instance.unreported.retain(|unreported| *unreported != number);
        }
        let forgotten_at = self.now.saturating_add_millis(STOPPED_TASK_VISIBLE_MS);
        self.schedule.plan_chore(forgotten_at, Chore::ForgetTask(number));
    }

    pub(super) fn forget_task(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.remove(&number) else {
            return;
        };
        self.task_numbers.remove(&task.arn);
        if let Some(cluster) = self.clusters.get_mut(&task.cluster) {
            cluster.tasks.remove(&number);
            if let Some(started_by) = &task.started_by
                && let Some(numbers) = cluster.by_started_by.get_mut(started_by)
            {
                numbers.remove(&number);
                if numbers.is_empty() {
                    cluster.by_started_by.remove(started_by);
                }
            }
        }
        if let Some(token) = &task.token {
            self.release_token(&task.cluster, token, number);
        }
    }

    fn agent_is_connected(&self, cluster: &ClusterName, instance: &ContainerInstanceArn) -> bool {
        let instance = self
            .clusters
            .get(cluster)
            .and_then(|cluster| cluster.instances.get(instance));
        instance.is_some_and(|instance| instance.agent == AgentConnection::Connected)
    }
}

/// The host ports of a task's containers: those that are named, and in bridge mode others of Docker's choice.
fn bindings(task: &Task, mut dynamic_port: impl FnMut() -> u16) -> Vec<Binding> {
    let definition = &task.definition.definition;
    let mut bindings = Vec::new();
    for (container, it) in definition.containers.iter().enumerate() {
        for (mapping, port) in it.port_mappings.iter().enumerate() {
            let named = port.host_port.filter(|port| *port != 0);
            let host_port = match definition.network_mode {
                NetworkMode::Bridge => Some(named.unwrap_or_else(&mut dynamic_port)),
                NetworkMode::Host => named.or(port.container_port),
                NetworkMode::Awsvpc | NetworkMode::None => None,
            };
            bindings.extend(host_port.map(|host_port| Binding {
                container,
                mapping,
                host_port,
            }));
        }
    }
    bindings
}
