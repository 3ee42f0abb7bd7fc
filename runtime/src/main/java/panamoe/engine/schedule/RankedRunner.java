package panamoe.engine.schedule;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.schedule.ModelRunner.Together;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Computes steps of a model whose parts many ranks hold. Rank 0 has the engine and sends its plan
 * to all ranks. Each computes the rows of its data rank, perhaps none, while others use its
 * experts. Rank 0 gets the output. The other ranks {@link #follow}. Used by one thread of each
 * rank.
 *
 * <p>A plan begins with the step's {@link Together#shape} and the most rows of a rank.
 */
final class RankedRunner implements StepRunner {
  private static final byte[] NOTHING = {};
  private static final byte[] END = {0};
  private static final byte[] STATISTICS = {0, 0};

  private final Backend backend;
  private final Ranks ranks;
  private final ModelRunner own;
  private final StepRows received;
  // Rows of each data rank in this step: those whose logits are asked for, and all.
  private final long[] asked;
  private final long[] computed;
  private final float[] routesOfRow;
  // The latest step that has a shape.
  private int shapes;
  private long[] rowsOfShape;
  private int[] topKOfShape;
  private TensorScope routesScope;
  private HostView gatheredRoutes;
  private boolean failed;

  /**
   * @param model this rank's part, packed for inference
   */
  RankedRunner(Backend backend, LanguageModel model, EngineConfig config) {
    this.backend = backend;
    this.ranks = model.parameters().ranks();
    this.received = new StepRows(config.stepTokens());
    this.asked = new long[ranks.topology().dataDegree()];
    this.computed = new long[asked.length];
    this.own = new ModelRunner(backend, model, config, model.config().window());
    this.routesOfRow = new float[new RouteLayout(own.layers()).width()];
  }

  /** On rank 0: sends the plan, and computes it together with the others. */
  @Override
  public void run(StepPlan plan) {
    ByteBuffer message =
        ByteBuffer.allocate(
            2 * Integer.BYTES
                + IntStream.range(0, plan.ranks()).map(rank -> plan.rank(rank).bytes()).sum());
    for (int rank = 0; rank < plan.ranks(); rank++) {
      asked[rank] = plan.rank(rank).wantedCount;
      computed[rank] = plan.rank(rank).count;
    }
    Together together = together(plan.rank(0));
    message.putInt(together.shape()).putInt(together.mostRows());
    for (int rank = 0; rank < plan.ranks(); rank++) {
      plan.rank(rank).write(message);
    }
    compute(message.array(), plan.rank(0), together);
  }

  /** Numbers the step if it only writes; one like the latest numbered one gets its number. */
  private Together together(StepRows first) {
    int most = (int) Arrays.stream(computed).max().orElseThrow();
    if (most == 0
        || first.hidden
        || !Arrays.equals(asked, computed)
        || !own.capturesTogether(most)) {
      return new Together(0, 0, this::gather);
    }
    if (!Arrays.equals(computed, rowsOfShape) || !Arrays.equals(first.topK, topKOfShape)) {
      shapes++;
      rowsOfShape = computed.clone();
      topKOfShape = first.topK;
    }
    return new Together(shapes, most, this::gather);
  }

  private void compute(byte[] message, StepRows rows, Together together) {
    failed = true; // unless the step ends: after a failure ranks are out of step for good
    ranks.world().broadcast(message, 0);
    own.runTogether(rows, together);
    gatherRoutes(rows);
    failed = false;
  }

  /** Gathers the output of wanted rows. */
  private Tensor gather(TensorScope scope, Tensor output) {
    return ranks.tensor().rank() == 0
        ? gather(scope, "logits or hidden states", output, asked)
        : null;
  }

  /** Gathers routes on rank 0 if they are reported. */
  private void gatherRoutes(StepRows rows) {
    if (rows.reportsRoutes && ranks.tensor().rank() == 0) {
      if (routesScope != null) {
        routesScope.close();
      }
      routesScope = TensorScope.shared(backend); // another thread may close the engine
      Tensor mine = ownRoutes(routesScope, rows.count);
      gatheredRoutes = HostView.of(gather(routesScope, "routes", mine, computed));
      gatheredRoutes.read();
    }
  }

  /**
   * @param mine [rows of this rank, N]
   * @param rows of each data rank, on rank 0
   * @return [all rows, N] on rank 0, elsewhere [0, N]
   */
  private Tensor gather(TensorScope scope, String what, Tensor mine, long[] rows) {
    int members = ranks.data().size();
    long[] send = new long[members];
    long[] receive = ranks.first() ? rows : new long[members];
    send[0] = mine.size(0);
    Tensor all = scope.allocate(DType.FLOAT32, Arrays.stream(receive).sum(), mine.size(1));
    ranks.data().at(what);
    ranks.data().allToAll(mine, send, all, receive);
    return all;
  }

  private Tensor ownRoutes(TensorScope scope, int rows) {
    int width = own.routeWidth();
    Tensor mine = scope.allocate(DType.FLOAT32, rows, width);
    HostView view = HostView.of(mine);
    for (int row = 0; row < rows; row++) {
      own.routes(row, routesOfRow);
      long start = (long) row * width * Float.BYTES;
      MemorySegment.copy(routesOfRow, 0, view.memory(), ValueLayout.JAVA_FLOAT, start, width);
    }
    view.write();
    return mine;
  }

  /** On the other ranks: computes rank 0's plans until rank 0 closes. */
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
      if (message.length == STATISTICS.length) {
        ranks.data().allGather(own.counts().pack());
        continue;
      }
      ByteBuffer plan = ByteBuffer.wrap(message);
      Together together = new Together(plan.getInt(), plan.getInt(), this::gather);
      for (int rank = 0; rank <= data; rank++) {
        received.read(plan);
      }
      own.runTogether(received, together);
      gatherRoutes(received);
    }
  }

  /** On rank 0, regularly while there is no work: keeps the others from timing out. */
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
  public Backend backend() {
    return backend;
  }

  @Override
  public void requireGeneration() {
    own.requireGeneration();
  }

  @Override
  public Tensor output() {
    return own.output();
  }

  @Override
  public int row(int rank, int wanted) {
    return (int) (wanted + before(rank, asked));
  }

  private static long before(int rank, long[] rows) {
    return Arrays.stream(rows).limit(rank).sum();
  }

  @Override
  public int window() {
    return own.window();
  }

  @Override
  public List<RoutedLayer> layers() {
    return own.layers();
  }

  @Override
  public void routes(int rank, int row, float[] into) {
    int width = own.routeWidth();
    long start = (row + before(rank, computed)) * width * Float.BYTES;
    MemorySegment.copy(gatheredRoutes.memory(), ValueLayout.JAVA_FLOAT, start, into, 0, width);
  }

  /** Sums the counts of all ranks on rank 0. */
  @Override
  public RouteStatistics statistics() {
    failed = true;
    ranks.world().broadcast(STATISTICS, 0);
    RouteCounts all = new RouteCounts(own.layers());
    all.addPacked(ranks.data().allGather(own.counts().pack()));
    failed = false;
    return all.statistics();
  }

  /** Frees this rank's cache; on rank 0 it also ends the others' {@link #follow}. */
  @Override
  public void close() {
    try {
      if (ranks.first() && !failed) {
        ranks.world().broadcast(END, 0);
      }
    } finally {
      if (routesScope != null) {
        routesScope.close();
      }
      own.close();
    }
  }
}
