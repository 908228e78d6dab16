// A guest that does nothing but attack: no operating system, two processors, every device of the machine. Its command line
// says "seed=N attempts=N": how many attempts each device gets. An attempt is a step that no driver would take, or that
// one would, with what is wrong in it: registers, configuration, queues in and out of memory, descriptor chains with loops,
// lengths without end and addresses at every edge, requests of each device's own protocol, ports. Meanwhile the second
// processor changes the same memory and rings the same bells.
// At the end each device is reset and has to do what it is there for; the report goes to the serial port, and the i8042 resets.
// Addresses and offsets: virtio 1.2 §4.2.2; Hearth.Vmm/Boot/MemoryLayout.cs.
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum {
  RINGS = 4 << 20,         // below it only this program and the tables it runs on: no attack may reach them
  DEVICE_BYTES = 1 << 20,  // of each device: rings at its start, then buffers
  QUEUE_BYTES = 0x4000,
  BUFFERS = 0x40000,
  MOST_DEVICES = 16,
  MOST_QUEUES = 8,
  QUEUE_SIZE = 128,
  BOOT_TIMER = 0xc0000000,
  FIRST_DEVICE = 0xc0001000,
  MAGIC = 0x74726976,
  NEXT = 1, WRITE = 2, INDIRECT = 4,
};
enum { R_MAGIC = 0, R_TYPE = 8, R_FEATURES = 0x10, R_FEATURES_SEL = 0x14, R_DRIVER_FEATURES = 0x20, R_DRIVER_FEATURES_SEL = 0x24,
       R_QUEUE_SEL = 0x30, R_QUEUE_MAX = 0x34, R_QUEUE_NUM = 0x38, R_QUEUE_READY = 0x44, R_NOTIFY = 0x50, R_ACK = 0x64, R_STATUS = 0x70,
       R_DESC = 0x80, R_DRIVER = 0x90, R_DEVICE = 0xa0, R_CONFIG = 0x100 };
enum { NET = 1, BLOCK = 2, RNG = 4, VSOCK = 19, FS = 26 };

struct descriptor { u64 address; u32 length; u16 flags, next; };
struct device { u64 base, memory; u32 type, queues; u64 attempts; u16 available[MOST_QUEUES]; };

static struct device devices[MOST_DEVICES];
static int device_count;
static u64 memory_end;
static volatile u32 second_is_up, second_must_stop, second_has_stopped;
static volatile u32 second_is_wild;
static volatile u64 second_attempts;

static void out8(u16 port, u8 v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static void out16(u16 port, u16 v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port)); }
static void out32(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static u8 in8(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static u16 in16(u16 port) { u16 v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static u32 in32(u16 port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
#define AT(type, address) (*(volatile type *)(u64)(address))
static u32 get(struct device *d, u32 reg) { return AT(u32, d->base + reg); }
static void set(struct device *d, u32 reg, u32 v) { AT(u32, d->base + reg) = v; }
static void set64(struct device *d, u32 reg, u64 v) { set(d, reg, (u32)v); set(d, reg + 4, (u32)(v >> 32)); }

// xorshift64*, a state a processor.
static u64 next_of(u64 *state) {
  u64 x = *state;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  *state = x;
  return x * 0x2545f4914f6cdd1dull;
}
static u64 state;
static u64 any(void) { return next_of(&state) >> 8; }
static u32 below(u32 n) { return (u32)((any() & 0xffffffff) * n >> 32); }
static int one_in(u32 n) { return below(n) == 0; }

// ---- The serial port, whatever was done to it.
static void ready_to_print(void) { out8(0x3fb, 3), out8(0x3fc, 0), out8(0x3f9, 0); }
static void print(const char *s) { for (; *s; s++) out8(0x3f8, (u8)*s); }
static void print_number(u64 n) {
  char text[24];
  int at = 23;
  text[at] = 0;
  do { text[--at] = (char)('0' + n % 10); } while (n /= 10);
  print(text + at);
}
static void field(const char *name, u64 n) { print(name), print_number(n); }

// ---- What is wrong in a driver's numbers.
static u64 memory_of(struct device *d) { return d->memory + BUFFERS + below(DEVICE_BYTES - BUFFERS); }
static u64 bad_address(struct device *d) {
  switch (below(12)) {
    case 0: case 1: case 2: return memory_of(d);
    case 3: return d->memory + below(BUFFERS);                       // rings, its own
    case 4: return devices[below((u32)device_count)].memory + below(DEVICE_BYTES);
    case 5: return memory_end - below(8192);
    case 6: return memory_end + below(8192);
    case 7: return BOOT_TIMER + below(0x20000);                      // registers of devices
    case 8: return (one_in(2) ? 0xfee00000ull : 0xfec00000ull) + below(4096);
    case 9: return ~0ull - below(8192);                              // over the end of all addresses
    case 10: return 0x100000000ull - below(8192);
    default: return any() << 8 | 1ull << 63 >> below(31);            // never in memory
  }
}
static u32 bad_length(u64 address) {
  switch (below(10)) {
    case 0: return 0;
    case 1: return 1;
    case 2: case 3: case 4: return below(4096);
    case 5: return below(65536 * 4);
    case 6: return 0x7fffffff + below(3);
    case 7: return ~0u - below(3);
    case 8: return (u32)(memory_end - address) + below(3) - 1;       // to the end of memory, one less, one more
    default: return (u32)any();
  }
}

// ---- Queues.
static volatile struct descriptor *table(struct device *d, u32 q) { return (void *)(d->memory + q * QUEUE_BYTES); }
static u64 available(struct device *d, u32 q) { return d->memory + q * QUEUE_BYTES + 0x1000; }
static u64 used(struct device *d, u32 q) { return d->memory + q * QUEUE_BYTES + 0x2000; }
static void describe(struct device *d, u32 q, u32 i, u64 address, u32 length, u16 flags, u16 next) {
  volatile struct descriptor *t = table(d, q) + i % QUEUE_SIZE;
  t->address = address, t->length = length, t->flags = flags, t->next = next;
}
static void offer(struct device *d, u32 q, u16 head) {
  AT(u16, available(d, q) + 4 + d->available[q] % QUEUE_SIZE * 2) = head;
  AT(u16, available(d, q) + 2) = ++d->available[q];
}

// As a driver starts it; or with one in so many of its numbers wrong. Features: 1 in 4 times fewer than are offered.
static void restart(struct device *d, u32 wrong) {
  set(d, R_STATUS, 0);
  for (u64 at = d->memory; at < d->memory + MOST_QUEUES * QUEUE_BYTES; at += QUEUE_BYTES)
    AT(u64, at + 0x1000) = 0, AT(u64, at + 0x2000) = 0;
  for (u32 q = 0; q < MOST_QUEUES; q++) d->available[q] = 0;
  set(d, R_STATUS, 1), set(d, R_STATUS, 3);
  u64 mask = wrong && one_in(4) ? any() | 1ull << 32 : ~0ull;
  for (u32 half = 0; half < 2; half++) {
    set(d, R_FEATURES_SEL, half), set(d, R_DRIVER_FEATURES_SEL, half);
    // Without a driver's event index: this one always rings.
    u32 features = get(d, R_FEATURES) & (u32)(mask >> half * 32) & (half ? ~0u : ~(1u << 29));
    set(d, R_DRIVER_FEATURES, wrong && one_in(16) ? (u32)any() : features);
  }
  set(d, R_STATUS, 11);
  for (u32 q = 0; q < d->queues; q++) {
    set(d, R_QUEUE_SEL, q);
    set(d, R_QUEUE_NUM, wrong && one_in(wrong) ? (u32)any() >> below(32) : QUEUE_SIZE);
    set64(d, R_DESC, wrong && one_in(wrong) ? bad_address(d) : (u64)table(d, q));
    set64(d, R_DRIVER, wrong && one_in(wrong) ? bad_address(d) : available(d, q));
    set64(d, R_DEVICE, wrong && one_in(wrong) ? bad_address(d) : used(d, q));
    set(d, R_QUEUE_READY, 1);
  }
  set(d, R_STATUS, 15);
}

// ---- Requests that a device would take, at a place in memory.
static u32 request(struct device *d, u64 at) {
  for (u32 i = 0; i < 12; i++) AT(u64, at + i * 8) = any();
  switch (d->type) {
    case BLOCK: {
      static const u8 kinds[] = {0, 0, 1, 1, 4, 8, 11, 13};
      AT(u32, at) = one_in(8) ? (u32)any() : kinds[below(8)];
      AT(u64, at + 8) = one_in(3) ? any() << 8 >> below(64) : below(2100);
      return 16;
    }
    case NET: {
      for (u32 i = 0; i < 12; i++) AT(u8, at + i) = one_in(2) ? 0 : (u8)any();
      // Ethernet; ARP, or IPv4 with TCP or UDP to the metadata service.
      u64 frame = at + 12;
      for (u32 i = 0; i < 6; i++) AT(u8, frame + i) = 0xff;
      if (one_in(3)) {
        static const u8 arp[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};
        for (u32 i = 0; i < sizeof(arp); i++) AT(u8, frame + 12 + i) = arp[i];
        AT(u32, frame + 38) = 0xfea9fea9;
        return 12 + (one_in(4) ? below(64) : 42);
      }
      static const u8 ip[] = {0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 169, 254, 169, 254, 4, 0, 0, 80};
      for (u32 i = 0; i < sizeof(ip); i++) AT(u8, frame + 12 + i) = ip[i];
      if (one_in(4)) AT(u8, frame + 14) = (u8)any();
      if (one_in(4)) AT(u16, frame + 16) = (u16)any();
      AT(u8, frame + 46) = one_in(4) ? (u8)any() : 0x50;             // TCP's header length
      AT(u8, frame + 47) = one_in(2) ? 2 : (u8)any();                // SYN, or anything
      return 12 + (one_in(4) ? below(84) : 54 + below(30));
    }
    case VSOCK:
      AT(u64, at) = 3, AT(u64, at + 8) = one_in(8) ? any() : 2;      // from the guest to the host
      AT(u32, at + 16) = below(4), AT(u32, at + 20) = below(4);      // ports that meet again
      AT(u32, at + 24) = one_in(4) ? (u32)any() : below(64);
      AT(u16, at + 28) = one_in(8) ? (u16)any() : 1;
      AT(u16, at + 30) = one_in(8) ? (u16)any() : one_in(3) ? 1 : (u16)below(9);
      return one_in(8) ? below(64) : 44;
    case FS:
      AT(u32, at) = 40 + below(64), AT(u32, at + 4) = one_in(3) ? 26 : below(52);
      return 40 + below(64);
    default:
      return below(96);
  }
}

// ---- The attempts.
static void attack_registers(struct device *d) {
  u64 at = d->base + (one_in(8) ? below(0x2000) : below(64) * 4);
  u32 shift = below(64);
  switch (below(8)) {
    case 0: AT(u8, at) = (u8)any(); break;
    case 1: AT(u16, at) = (u16)any(); break;
    case 2: AT(u64, at & ~7ull) = any(); break;
    case 3: (void)AT(u64, at); break;                                // across a register's end, or the window's
    case 4: (void)AT(u16, at + 1); break;
    case 5: set(d, R_STATUS, (u32)any() >> below(32)); break;
    default: AT(u32, at & ~3ull) = (u32)(any() >> shift);
  }
}
static void attack_configuration(struct device *d) {
  u64 at = d->base + R_CONFIG + (one_in(2) ? below(80) : below(0xf00));
  switch (below(5)) {
    case 0: AT(u8, at) = (u8)any(); break;
    case 1: AT(u16, at) = (u16)any(); break;
    case 2: AT(u32, at) = (u32)any(); break;
    case 3: AT(u64, at) = any(); break;
    default: (void)AT(u64, at);
  }
}
static void attack_chain(struct device *d) {
  u32 q = below(d->queues), count = 1 + below(6), head = below(QUEUE_SIZE);
  for (u32 i = 0; i < count; i++) {
    u64 address = bad_address(d);
    u16 flags = i + 1 < count || one_in(4) ? NEXT : 0;
    if (one_in(2)) flags |= WRITE;
    if (one_in(8)) flags |= INDIRECT;
    if (one_in(32)) flags = (u16)any();
    // The next one; one of the same chain, which never ends; or any, of which there may be none.
    u16 next = one_in(6) ? (u16)(head + below(count)) % QUEUE_SIZE : one_in(12) ? (u16)any() : (u16)(head + i + 1) % QUEUE_SIZE;
    describe(d, q, head + i, address, bad_length(address), flags, next);
  }
  offer(d, q, one_in(16) ? (u16)any() : (u16)head);
  if (one_in(24)) AT(u16, available(d, q) + 2) = d->available[q] += (u16)any();
  if (one_in(4)) AT(u16, available(d, q)) = (u16)any();
  set(d, R_NOTIFY, one_in(8) ? (u32)any() : q);
}
static void attack_request(struct device *d) {
  u32 q = d->type == NET || d->type == VSOCK ? below(2) : below(d->queues), head = below(QUEUE_SIZE);
  u64 at = d->memory + BUFFERS + below(64) * 256, data = one_in(6) ? bad_address(d) : memory_of(d);
  u32 length = request(d, at), more = one_in(6) ? bad_length(data) : (1 + below(8)) * 512;
  // What the device reads first, then what it reads or writes, then a place for its answer.
  if ((d->type == NET || d->type == VSOCK) && q == 0) {
    describe(d, q, head, data, more, WRITE, 0);
  } else {
    describe(d, q, head, at, length, NEXT, (u16)(head + 1) % QUEUE_SIZE);
    // A block device's kinds 0 and 8 (read, identity) write to memory.
    int writes = one_in(8) ? one_in(2) : d->type == BLOCK ? (AT(u32, at) & 7) == 0 : d->type != NET && d->type != VSOCK;
    describe(d, q, head + 1, data, more, NEXT | (writes ? WRITE : 0), (u16)(head + 2) % QUEUE_SIZE);
    describe(d, q, head + 2, one_in(8) ? bad_address(d) : memory_of(d), one_in(4) ? below(256) : 1, one_in(8) ? 0 : WRITE, 0);
    // Packets end with what is read.
    if (d->type == NET || d->type == VSOCK) {
      u32 last = one_in(2) ? 0 : 1;
      if (!one_in(8)) table(d, q)[(head + last) % QUEUE_SIZE].flags = 0;
      if (last == 0 && d->type == VSOCK && !one_in(4)) AT(u32, at + 24) = 0;
    }
  }
  offer(d, q, (u16)head);
  set(d, R_NOTIFY, q);
  // While it is being read.
  if (one_in(4)) AT(u32, at + below(16) * 4) = (u32)any();
  if (one_in(16)) table(d, q)[head].length = (u32)any();
}
static void attack(struct device *d) {
  u32 what = below(16);
  if (what < 1) attack_registers(d);
  else if (what < 2) attack_configuration(d);
  else if (what < 6) attack_chain(d);
  else attack_request(d);
  // One that waits for a reset would not be attacked any more.
  if (!one_in(4) && get(d, R_STATUS) != 15) restart(d, one_in(4) ? 12 : 0);
  d->attempts++;
}

static u64 port_attempts;
static void attack_ports(void) {
  // Serial, i8042, the sleep registers, what KVM or nobody answers to. Not what ends the machine: that comes last.
  static const u16 places[] = {0x3f8, 0x3f8, 0x60, 0x64, 0x600, 0x20, 0x40, 0x70, 0x2f8, 0xcf8, 0xcfc, 0xb000};
  u16 port = one_in(8) ? (u16)any() : (u16)(places[below(12)] + below(8));
  u32 value = (u32)any();
  if (port == 0x64 && (u8)value == 0xfe) value = 0;
  if (port >= 0x5fd && port <= 0x601) value &= ~0x20202020u;
  if (port >= 0x61 && port <= 0x64) value &= 0x7f7f7f7f;
  if (port == 0x92 || (port >= 0xcf6 && port <= 0xcf9)) port = 0x80;
  switch (below(7)) {
    case 0: case 1: out8(port, (u8)value); break;
    case 2: out16(port, (u16)value); break;
    case 3: out32(port, value); break;
    case 4: (void)in8(port), (void)in16(port), (void)in32(port); break;
    case 5: {
      u64 at = devices[0].memory + BUFFERS, count = below(64);
      // The second processor may make anything of these bytes.
      if ((port >= 0x5fd && port <= 0x601) || (port >= 0x61 && port <= 0x64)) break;
      __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
      break;
    }
    default: {
      u64 at = devices[0].memory + BUFFERS, count = below(64);
      __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    }
  }
  u64 timer = BOOT_TIMER + below(0x1000);
  AT(u8, timer) = (u8)value;
  AT(u32, timer & ~3ull) = value;
  (void)AT(u64, 0xc0000000ull + below(0x100000) * 8);
  port_attempts++;
}

// ---- The second processor: changes what the first has just written, rings, resets.
void second(void) {
  u64 own = 0x9e3779b97f4a7c15ull ^ state;
  second_is_up = 1;
  while (!second_must_stop) {
    struct device *d = &devices[next_of(&own) % (u32)device_count];
    u64 what = next_of(&own) >> 16;
    // Most of the time only what a driver's own threads could do: where rings and registers change, a device soon wants a reset.
    switch (second_is_wild ? what % 16 : what % 4 ? 16 : 2) {
      case 0: AT(u32, d->base + (what >> 8) % 64 * 4) = (u32)next_of(&own); break;
      case 1: set(d, R_STATUS, (u32)(what >> 8) & 15); break;
      case 2: case 3: case 4: set(d, R_NOTIFY, (u32)(what >> 8) % d->queues); break;
      case 5: AT(u16, available(d, (u32)(what >> 8) % d->queues) + 2) += (u16)(what >> 32); break;
      case 6: case 7: case 8: case 9: {
        volatile struct descriptor *t = table(d, (u32)(what >> 8) % d->queues) + (what >> 20) % QUEUE_SIZE;
        if (what >> 30 & 1) t->length = (u32)next_of(&own);
        else if (what >> 31 & 1) t->flags ^= (u16)(1 << (what >> 32) % 3);
        else t->next = (u16)(what >> 32) % QUEUE_SIZE;
        break;
      }
      case 16: AT(u64, d->memory + BUFFERS + (what >> 8) % 0x8000) = next_of(&own), (void)in8(0x64); break;
      default: AT(u64, d->memory + (what >> 8) % (BUFFERS + 0x8000)) = next_of(&own);
    }
    second_attempts++;
  }
  second_has_stopped = 1;
}
extern const u8 second_real[], second_real_end[];
static void start_second(void) {
  const u64 apic = 0xfee00000, there = 0x10000;
  for (u32 i = 0; second_real + i < second_real_end; i++) AT(u8, there + i) = second_real[i];
  AT(u32, apic + 0xf0) = 0x1ff;
  AT(u32, apic + 0x310) = 1u << 24, AT(u32, apic + 0x300) = 0x4500;
  for (u32 i = 0; i < 200; i++) (void)in8(0x64);
  AT(u32, apic + 0x310) = 1u << 24, AT(u32, apic + 0x300) = 0x4600 | there >> 12;
  for (u32 i = 0; i < 2000 && !second_is_up; i++) (void)in8(0x64);
}

// ---- The end: does it still do what it is there for? 1 yes, 0 no, 2 there is another process to ask.
static int await_used(struct device *d, u32 q) {
  u16 want = d->available[q];
  for (u32 i = 0; i < 100000; i++) {
    if (AT(u16, used(d, q) + 2) == want) return 1;
    (void)in8(0x64);
  }
  return 0;
}
static int ask_block(struct device *d, u32 kind, u64 sector, u64 data) {
  u64 at = d->memory + BUFFERS;
  AT(u32, at) = kind, AT(u32, at + 4) = 0, AT(u64, at + 8) = sector, AT(u8, at + 16) = 0xff;
  describe(d, 0, 0, at, 16, NEXT, 1);
  describe(d, 0, 1, data, 512, NEXT | (kind == 0 ? WRITE : 0), 2);
  describe(d, 0, 2, at + 16, 1, WRITE, 0);
  offer(d, 0, 0);
  set(d, R_NOTIFY, 0);
  return await_used(d, 0) && AT(u8, at + 16) == 0;
}
static int works(struct device *d) {
  restart(d, 0);
  u64 at = d->memory + BUFFERS;
  for (u32 i = 0; i < 128; i++) AT(u64, at + i * 8) = 0;
  if (get(d, R_STATUS) != 15) return 0;
  switch (d->type) {
    case RNG:
      describe(d, 0, 0, at, 64, WRITE, 0), offer(d, 0, 0), set(d, R_NOTIFY, 0);
      return await_used(d, 0) && AT(u32, used(d, 0) + 8) == 64 && (AT(u64, at) | AT(u64, at + 56)) != 0;
    case BLOCK: {
      u64 data = at + 4096;
      int read_only = 0;
      set(d, R_FEATURES_SEL, 0);
      read_only = get(d, R_FEATURES) >> 5 & 1;
      if (!read_only) {
        for (u32 i = 0; i < 64; i++) AT(u64, data + i * 8) = 0x4854524145480000ull + i;
        if (!ask_block(d, 1, 7, data)) return 0;
        for (u32 i = 0; i < 64; i++) AT(u64, data + i * 8) = 0;
        return ask_block(d, 0, 7, data) && AT(u64, data + 63 * 8) == 0x485452414548003full;
      }
      return ask_block(d, 0, 7, data) && AT(u64, data) == 0x2d4854524145482dull;   // "-HEARTH-"
    }
    case NET:
      describe(d, 1, 0, at, 12 + 64, 0, 0), offer(d, 1, 0), set(d, R_NOTIFY, 1);
      return await_used(d, 1);
    case VSOCK:
      // A connection to a port on which nobody listens is refused: an answer comes.
      describe(d, 0, 0, at + 4096, 4096, WRITE, 0), offer(d, 0, 0);
      AT(u64, at) = 3, AT(u64, at + 8) = 2, AT(u32, at + 16) = 99, AT(u32, at + 20) = 98, AT(u16, at + 28) = 1, AT(u16, at + 30) = 1;
      describe(d, 1, 0, at, 44, 0, 0), offer(d, 1, 0), set(d, R_NOTIFY, 1);
      return await_used(d, 1) && await_used(d, 0) && AT(u16, at + 4096 + 30) == 3;
    default:
      return 2;
  }
}

static u64 number(const char *line, const char *name) {
  for (; *line; line++) {
    u32 i = 0;
    while (name[i] && line[i] == name[i]) i++;
    if (!name[i]) {
      u64 n = 0;
      for (line += i; *line >= '0' && *line <= '9'; line++) n = n * 10 + (u64)(*line - '0');
      return n;
    }
  }
  return 0;
}
// What no device was ever given: this program, its command line, and the memory between the program and the rings.
extern const u8 end_of_constants[];
static u64 sum_of_the_rest(void) {
  u64 sum = 0;
  for (u64 at = 0x100000; at + 8 <= (u64)end_of_constants; at += 8) sum = sum * 31 + AT(u64, at);
  for (u64 at = 0x20000; at < 0x20800; at += 8) sum = sum * 31 + AT(u64, at);
  for (u64 at = 0x200000; at < RINGS; at += 64) sum |= AT(u64, at) << 1;
  return sum;
}

void first(u64 boot_parameters) {
  const char *line = (const char *)(u64)AT(u32, boot_parameters + 0x228);
  u64 seed = number(line, "seed="), attempts = number(line, "attempts=");
  state = seed * 0x9e3779b97f4a7c15ull | 1;
  for (u32 i = 0; i < AT(u8, boot_parameters + 0x1e8); i++) {
    u64 entry = boot_parameters + 0x2d0 + i * 20;
    if (AT(u32, entry + 16) == 1 && AT(u64, entry) + AT(u64, entry + 8) > memory_end) memory_end = AT(u64, entry) + AT(u64, entry + 8);
  }
  for (u64 base = FIRST_DEVICE; device_count < MOST_DEVICES && AT(u32, base) == MAGIC; base += 0x1000) {
    struct device *d = &devices[device_count];
    d->base = base, d->memory = RINGS + (u64)device_count * DEVICE_BYTES, d->type = get(d, R_TYPE);
    for (; d->queues < MOST_QUEUES; d->queues++) {
      set(d, R_QUEUE_SEL, d->queues);
      if (get(d, R_QUEUE_MAX) == 0) break;
    }
    device_count++;
  }
  u64 sum = sum_of_the_rest();
  ready_to_print();
  field("\n@BEGIN seed=", seed), field(" devices=", (u64)device_count), field(" memory=", memory_end), print("\n");
  for (int i = 0; i < device_count; i++) restart(&devices[i], 0);
  start_second();
  u64 tenth = attempts / 10 + 1;
  for (u64 round = 0; round < attempts; round++) {
    second_is_wild = round / 32 % 4 == 3;
    // Of files only now and then: what serves them ends at the first packet that is wrong, and the next one has to start.
    for (int i = 0; i < device_count; i++) if (devices[i].type != FS || round % 4 == 0) attack(&devices[i]);
    attack_ports();
    if (round % tenth == tenth - 1) ready_to_print(), field("\n@ROUND ", round), print("\n");
  }
  second_must_stop = 1;
  for (u32 i = 0; i < 100000 && second_is_up && !second_has_stopped; i++) (void)in8(0x64);
  ready_to_print();
  field("\n@SECOND attempts=", second_attempts), field(" stopped=", second_has_stopped), print("\n");
  for (int i = 0; i < device_count; i++) set(&devices[i], R_STATUS, 0);
  for (int i = 0; i < device_count; i++) {
    struct device *d = &devices[i];
    int answer = works(d);
    field("@DEVICE ", (u64)i), field(" type=", d->type), field(" attempts=", d->attempts), field(" works=", (u64)answer), print("\n");
  }
  field("@PORTS attempts=", port_attempts), field("\n@DONE unharmed=", sum == sum_of_the_rest()), print("\n");
  for (;;) out8(0x64, 0xfe);
}
