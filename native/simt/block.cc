#include "simt/block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace simt {
namespace {

constexpr size_t kMostInFlight = 4;                      // blocks that have started and not ended
constexpr int kRegisters = 65536, kMostRegisters = 255;  // of a multiprocessor; of a thread

std::string name_of(const char* noun, const uint3& index) {
  std::ostringstream text;
  text << noun << " (" << index.x << ", " << index.y << ", " << index.z << ")";
  return text.str();
}

}  // namespace

thread_local Block* Block::current_ = nullptr;

void Block::run_grid(const Shape& shape, uint64_t seed, const std::function<void()>& kernel) {
  static thread_local std::vector<std::unique_ptr<Block>> idle;  // reused, so that stacks are allocated once
  std::vector<std::unique_ptr<Block>> in_flight;
  std::mt19937_64 random(seed);
  const dim3& grid = gridDim = shape.grid;
  blockDim = shape.block;
  std::vector<unsigned> order(grid.x * grid.y * grid.z);
  for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  const size_t offset = random() % (SharedMemory::kPeriod / SharedMemory::kAlignment) * SharedMemory::kAlignment;
  struct Running {
    ~Running() {
      current_ = nullptr;
      for (auto& block : blocks) idle.push_back(std::move(block));
    }
    std::vector<std::unique_ptr<Block>>& blocks;
  } running{in_flight};
  for (size_t started = 0; started < order.size() || !in_flight.empty();) {
    if (started < order.size() && (in_flight.empty() || (in_flight.size() < kMostInFlight && random() % 2 == 0))) {
      if (idle.empty()) idle.push_back(std::make_unique<Block>());
      in_flight.push_back(std::move(idle.back()));
      idle.pop_back();
      const unsigned i = order[started++];
      in_flight.back()->index_ = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
      in_flight.back()->start(shape, kernel, random, offset);
    } else {
      std::swap(in_flight[random() % in_flight.size()], in_flight.back());
    }
    current_ = in_flight.back().get();
    if (!current_->run()) continue;
    idle.push_back(std::move(in_flight.back()));
    in_flight.pop_back();
  }
}

void Block::start(const Shape& shape, const std::function<void()>& kernel, std::mt19937_64& random,
                  size_t shared_offset) {
  if constexpr (kCounted) count_block(*this);
  random_ = &random;
  alone_ = shape.grid.x * shape.grid.y * shape.grid.z == 1;
  shared_.start(shape.shared_bytes, shared_offset, shape.most_shared_bytes);
  async_.start(shared_.dynamic(), shape.shared_bytes, SharedMemory::kPeriod + shared_offset, random);
  count_ = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  while (static_cast<int>(threads_.size()) < count_) threads_.push_back(std::make_unique<Thread>());
  kernel_ = &kernel;
  meetings_.clear();
  meetings_.resize(static_cast<size_t>((count_ + kWarp - 1) / kWarp));
  alive_ = count_;
  barriers_ = {};
  error_.clear();
  order_.resize(static_cast<size_t>(count_));
  for (int i = 0; i < count_; ++i) {
    Thread& thread = *threads_[static_cast<size_t>(i)];
    const auto n = static_cast<unsigned>(i);
    thread.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / (blockDim.x * blockDim.y)};
    thread.lane = i % kWarp;
    thread.warp = i / kWarp;
    thread.state = Thread::kReady;
    thread.order = Thread::kNothing;
    thread.registers = 0;
    thread.copies.clear();
    thread.groups.clear();
    thread.fiber.start(&enter);
    order_[static_cast<size_t>(i)] = i;
  }
}

bool Block::run() {
  blockIdx = index_;
  // One warp may wait until all others do, so that warps drift apart, often after a barrier: a barrier that is missing
  // before memory is used again shows when others have used it.
  const int warps = static_cast<int>(meetings_.size());
  int lagging = warps;
  while (alive_ > 0 && error_.empty()) {
    std::shuffle(order_.begin(), order_.end(), *random_);
    if ((*random_)() % 16 == 0) lagging = static_cast<int>((*random_)() % (2 * meetings_.size()));
    bool moved = false;
    for (int i : order_) {
      Thread& thread = *threads_[static_cast<size_t>(i)];
      if (thread.warp == lagging || !may_go_on(thread)) continue;
      moved = true;
      thread.state = Thread::kReady;
      running_ = &thread;
      threadIdx = thread.index;
      thread.fiber.resume();
      running_ = nullptr;
      async_.note_writes(&thread);
      if (!error_.empty()) break;
      if (std::exchange(paused_, false)) return false;
    }
    if (release_barriers()) {
      moved = true;
      if ((*random_)() % 4 == 0) lagging = static_cast<int>((*random_)() % meetings_.size());
    }
    if (!error_.empty()) break;
    if (!moved && std::exchange(lagging, warps) < warps) continue;
    try {
      moved |= async_.land_some(!moved);
    } catch (const std::exception& failure) {
      error_ = failure.what();
    }
    if (!moved && error_.empty()) error_ = deadlock();
  }
  if (error_.empty()) error_ = unfinished();
  // The next kernel restarts fibers that still wait.
  if (!error_.empty()) throw std::runtime_error(name_of("block", blockIdx) + ": " + error_);
  return true;
}

std::string Block::unfinished() const {
  if (const std::string overrun = shared_.overrun(); !overrun.empty()) return overrun;
  const int launched = std::min(kMostRegisters, kRegisters / count_) / 8 * 8;
  int total = 0;
  for (int i = 0; i < count_; ++i) {
    const int set = threads_[static_cast<size_t>(i)]->registers;
    if (set != threads_[static_cast<size_t>(i / 128 * 128)]->registers) return "setmaxnreg by a part of a warpgroup";
    total += set > 0 ? set : launched;
  }
  if (total > launched * count_) {
    return "setmaxnreg: the threads have " + std::to_string(total) + " registers, " +
           std::to_string(launched * count_) + " were launched";
  }
  return async_.unfinished();
}

void Block::enter() {
  Fiber::arrived();
  Block& block = current();
  Thread& self = block.thread();
  try {
    (*block.kernel_)();
  } catch (const std::exception& failure) {
    if (block.error_.empty()) block.error_ = failure.what();
  }
  self.state = Thread::kDone;
  --block.alive_;
  self.fiber.leave_for_good();
}

void Block::wait() { running_->fiber.leave(); }

void Block::pause() {
  if (alone_ || (*random_)() % 4 != 0) return;
  paused_ = true;
  wait();
}

void Block::fence() {
  pause();
  running_->order = Thread::kFenced;
}

void Block::access(const void* address) {
  if (!shared_.holds(address)) pause();
}

void Block::take_ticket(const void* address) {
  if (running_->order != Thread::kFenced) refuse("atomicInc without __threadfence before it");
  access(address);
  running_->order = Thread::kTicket;
}

void Block::set_registers(int registers) { running_->registers = registers; }

bool Block::may_go_on(Thread& thread) const {
  switch (thread.state) {
    case Thread::kReady: return true;
    case Thread::kInMeeting: return thread.meeting->generation != thread.generation;
    case Thread::kAtMbarrier: return thread.mbarrier->has_completed(thread.parity);
    default: return false;
  }
}

int Block::barrier(int predicate, int number, int threads) {
  if (running_->order == Thread::kTicket) refuse("atomicInc without __threadfence after it");
  running_->order = Thread::kNothing;
  Barrier& barrier = barriers_[static_cast<size_t>(number)];
  if (barrier.arrived == 0) barrier.threads = threads;
  if (barrier.threads != threads || (threads > 0 && barrier.arrived == threads)) {
    refuse("barrier " + std::to_string(number) + " is met by other numbers of threads");
  }
  barrier.predicates += predicate != 0;
  ++barrier.arrived;
  running_->state = Thread::kAtBarrier;
  running_->barrier = &barrier;
  wait();
  return barrier.predicates_of_last;
}

void Block::wait_for(const Mbarrier& mbarrier, int parity) {
  if (mbarrier.has_completed(parity)) return;
  running_->state = Thread::kAtMbarrier;
  running_->mbarrier = &mbarrier;
  running_->parity = parity;
  wait();
}

bool Block::release_barriers() {
  bool released = false;
  for (Barrier& barrier : barriers_) {
    if (barrier.arrived == 0 || barrier.arrived != (barrier.threads > 0 ? barrier.threads : alive_)) continue;
    released = true;
    if constexpr (kCounted) count_barrier();
    barrier.arrived = 0;
    barrier.predicates_of_last = std::exchange(barrier.predicates, 0);
    for (int i = 0; i < count_; ++i) {
      Thread& thread = *threads_[static_cast<size_t>(i)];
      if (thread.state == Thread::kAtBarrier && thread.barrier == &barrier) thread.state = Thread::kReady;
    }
  }
  return released;
}

const Deposits& Block::meet(unsigned mask, const void* value, size_t bytes, const char* operation) {
  Thread& self = *running_;
  if (bytes > kMostDepositBytes) refuse("a deposit of more than 32 bytes");
  if ((mask >> self.lane & 1) == 0) refuse(std::string(operation) + ": the lane itself is not in the mask");
  auto& of_warp = meetings_[static_cast<size_t>(self.warp)];
  auto found = std::find_if(of_warp.begin(), of_warp.end(), [&](const auto& meeting) { return meeting->mask == mask; });
  if (found == of_warp.end()) {
    of_warp.push_back(std::make_unique<Meeting>());
    of_warp.back()->mask = mask;
    found = of_warp.end() - 1;
  }
  Meeting& meeting = **found;
  if (meeting.arrived == 0) {
    meeting.operation = operation;
  } else if (std::strcmp(meeting.operation, operation) != 0) {
    refuse(std::string("lanes of a warp are in different collectives, ") + meeting.operation + " and " + operation);
  }
  const size_t table = meeting.generation & 1;
  std::memcpy(meeting.deposits[table][self.lane], value, bytes);
  meeting.arrived |= 1u << self.lane;
  if (meeting.arrived == mask) {
    ++meeting.generation;
    meeting.arrived = 0;
  } else {
    self.state = Thread::kInMeeting;
    self.meeting = &meeting;
    self.generation = meeting.generation;
    wait();
  }
  return meeting.deposits[table];
}

std::string Block::deadlock() const {
  for (int i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[static_cast<size_t>(i)];
    std::ostringstream text;
    if (thread.state == Thread::kInMeeting) {
      text << "deadlock: " << name_of("thread", thread.index) << " waits in " << thread.meeting->operation
           << " with mask " << std::hex << thread.meeting->mask << ", where " << thread.meeting->arrived
           << " have arrived";
      return text.str();
    }
    if (thread.state == Thread::kAtBarrier) {
      const Barrier& barrier = *thread.barrier;
      text << "deadlock: " << name_of("thread", thread.index) << " waits at ";
      const auto number = &barrier - barriers_.data();
      number == 0 ? text << "__syncthreads" : text << "barrier " << number;
      text << " with " << barrier.arrived << " of " << (barrier.threads > 0 ? barrier.threads : alive_) << " threads";
      return text.str();
    }
    if (thread.state == Thread::kAtMbarrier) {
      text << "deadlock: " << name_of("thread", thread.index) << " waits for an mbarrier's phase of parity "
           << thread.parity << ", which lacks " << thread.mbarrier->arrivals << " arrivals and "
           << thread.mbarrier->bytes << " bytes";
      return text.str();
    }
  }
  return "deadlock";
}

void Block::refuse(const std::string& what) const {
  throw std::runtime_error(name_of("thread", running_->index) + ": " + what);
}

}  // namespace simt
