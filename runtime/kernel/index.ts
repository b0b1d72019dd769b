export { Kernel } from './kernel.js';
export type { ClientIdentity, HostId, KernelFaults, KernelPorts, LogLevel, PeerId, ProcessStatus } from './ports.js';
