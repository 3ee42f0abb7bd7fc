package panamoe.engine;

import java.nio.ByteBuffer;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Steps of a model that many ranks hold together. Rank 0 has the engine: it sends its plan to all
 * ranks, each computes the rows of its data rank (none, perhaps, because the others need its
 * experts), and rank 0 gets the logits. The other ranks {@link #follow}. Used by one thread of each
 * rank.
 */
final class RankedRunner implements StepRunner {
  private static final byte[] NOTHING = {};
  private static final byte[] END = {0};

  private final Backend backend;
  private final Ranks ranks;
  private final ModelRunner own;
  private final int vocabulary;
  private final StepRows received;
  // Rows that each data rank was asked for in this step, and the first of them here.
  private final long[] asked;
  private TensorScope gatheredScope;
  private Tensor gathered;
  private boolean failed;

  /**
   * @param model this rank's part, packed for inference
   */
  RankedRunner(Backend backend, LanguageModel model, EngineConfig config) {
    this.backend = backend;
    this.ranks = model.parameters().ranks();
    this.vocabulary = model.config().vocabulary();
    this.received = new StepRows(config.stepTokens());
    this.asked = new long[ranks.topology().dataDegree()];
    this.own = new ModelRunner(backend, model, config);
  }

  /** On rank 0: sends the plan, and computes it together with the others. */
  @Override
  public void run(StepPlan plan) {
    ByteBuffer message = ByteBuffer.allocate(bytes(plan));
    for (int rank = 0; rank < plan.ranks(); rank++) {
      plan.rank(rank).write(message);
      asked[rank] = plan.rank(rank).wantedCount;
    }
    compute(message.array(), plan.rank(0));
  }

  private static int bytes(StepPlan plan) {
    int bytes = 0;
    for (int rank = 0; rank < plan.ranks(); rank++) {
      bytes += plan.rank(rank).bytes();
    }
    return bytes;
  }

  private void compute(byte[] message, StepRows rows) {
    failed = true; // unless it comes to its end: ranks that failed do not meet again
    ranks.world().broadcast(message, 0);
    own.runTogether(rows);
    gather(rows.wantedCount);
    failed = false;
  }

  /** Brings the logits of the wanted rows to rank 0. */
  private void gather(int wanted) {
    if (ranks.tensor().rank() != 0) {
      return;
    }
    if (gatheredScope != null) {
      gatheredScope.close();
    }
    gatheredScope = TensorScope.confined(backend);
    int members = ranks.data().size();
    long[] send = new long[members];
    long[] receive = new long[members];
    send[0] = wanted;
    long rows = 0;
    for (int member = 0; ranks.first() && member < members; member++) {
      receive[member] = asked[member];
      rows += asked[member];
    }
    gathered = gatheredScope.allocate(DType.FLOAT32, rows, vocabulary);
    Tensor mine = wanted == 0 ? gatheredScope.allocate(DType.FLOAT32, 0, vocabulary) : own.logits();
    ranks.data().at("logits");
    ranks.data().allToAll(mine, send, gathered, receive);
  }

  /** On the other ranks: computes what rank 0 plans, until it closes. */
  void follow() {
    Topology topology = ranks.topology();
    int data = topology.data(ranks.world().rank());
    while (true) {
      byte[] message = ranks.world().broadcast(NOTHING, 0);
      if (message.length == END.length) {
        return;
      }
      if (message.length == NOTHING.length) {
        continue;
      }
      ByteBuffer plan = ByteBuffer.wrap(message);
      for (int rank = 0; rank <= data; rank++) {
        received.read(plan);
      }
      own.runTogether(received);
      gather(received.wantedCount);
    }
  }

  /** On rank 0, from time to time while there is nothing to compute: the others do not give up. */
  @Override
  public void idle() {
    failed = true;
    ranks.world().broadcast(NOTHING, 0);
    failed = false;
  }

  @Override
  public boolean recovers() {
    return false;
  }

  @Override
  public void logits(int rank, int wanted, float[] into) {
    long row = wanted;
    for (int before = 0; before < rank; before++) {
      row += asked[before];
    }
    ModelRunner.copy(gathered, row, into);
  }

  /** Frees this rank's cache; on rank 0 it also lets the others end. */
  @Override
  public void close() {
    try {
      if (ranks.first() && !failed) {
        ranks.world().broadcast(END, 0);
      }
    } finally {
      if (gatheredScope != null) {
        gatheredScope.close();
      }
      own.close();
    }
  }
}
