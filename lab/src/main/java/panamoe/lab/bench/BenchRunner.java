package panamoe.lab.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.harness.probe.Roofline;
import panamoe.lab.peer.PeerProcess;

/**
 * Measures cells on one device, each alternating with its peer or baseline.
 *
 * @param peer null without a peer
 * @param process of the peer
 * @param seconds of work for each cell and contender
 * @param realTime whether bursts are timed at real-time priority
 * @param err for messages
 */
record BenchRunner(
    Backend backend,
    Roofline yardstick,
    Peer peer,
    PeerProcess process,
    double seconds,
    boolean realTime,
    PrintWriter err) {

  /**
   * @param subject for the cell's kind, model (or file), shape and dtype
   */
  Measurement measure(Bench subject, Cell cell) throws IOException {
    Timing.stopIfInterrupted();
    try (Workload work = subject.over(cell.tokens(), cell.texts())) {
      Workload.Beside beside =
          peer == null
              ? work.beside()
              : new Workload.Beside(peer.toString(), peer.contender(process, cell));
      Contender ours = contender(cell.kind(), work);
      List<Contender> contenders = new ArrayList<>(List.of(ours));
      if (beside != null) {
        contenders.add(beside.contender());
      }
      List<Timing> timings = Timing.inTurns(seconds, realTime, contenders, yardstick);
      return Measurement.of(
          cell,
          work,
          timings.getFirst(),
          ours instanceof GpuContender gpu ? gpu.hostMs() : null,
          beside == null ? null : beside.label(),
          beside == null ? null : timings.getLast());
    }
  }

  /** The kernels of a cell of {@code subject}, whose backend {@code profile} times. */
  List<KernelProfile.Row> profile(Bench subject, KernelProfile profile, int tokens, int texts)
      throws IOException {
    try (Workload work = subject.over(tokens, texts)) {
      return profile.over(work, seconds, yardstick.now());
    }
  }

  /** On a GPU, separates kernel time from host time if the kernels are captured. */
  private Contender contender(BenchKind kind, Workload work) {
    if (!backend.asynchronous()) {
      return Contender.of(work::run);
    }
    work.run(0);
    if (work.kernels() == null) {
      err.println(kind + " is not captured: its times include the host's launches and waits");
      return Contender.of(work::run);
    }
    return new GpuContender(work, backend, kind.wholeModel());
  }
}
