package panamoe.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;
import org.apache.spark.deploy.SparkHadoopUtil;
import panamoe.api.Precision;
import panamoe.backend.Backends;
import panamoe.io.Require;
import panamoe.open.hub.ModelName;
import panamoe.text.EmbeddingModel;
import panamoe.text.RetrievalOptions;
import panamoe.text.ScoringModel;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/**
 * An open model that the tasks of this process share. A model that no task uses stays open, until a
 * task asks for another. Thread-safe.
 *
 * @param opened a {@link TextService}, an {@link EmbeddingModel} or a {@link ScoringModel}
 */
record SharedModel<T extends AutoCloseable>(Key key, T opened) implements AutoCloseable {
  /** More rows than tasks hand in at the same time. */
  private static final int WAITING = 1 << 20;

  record Key(String model, RowSettings.Task task, RowSettings.Engine engine) {}

  /** A model and what of it is on this machine. */
  private record Opened(AutoCloseable model, Place place) {
    void close() throws Exception {
      try (place) {
        model.close();
      }
    }
  }

  /**
   * Where a model is on this machine.
   *
   * @param copy that was made for it, and goes with it; null: none
   */
  record Place(Path path, TemporaryFolder copy) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      if (copy != null) {
        copy.close();
      }
    }
  }

  /** The open models; guarded by the class. */
  private static final Map<Key, Opened> OPEN = new HashMap<>();

  private static final Map<Key, Integer> USERS = new HashMap<>(); // guarded by the class

  /** The model of these settings, until the task closes it. */
  static SharedModel<AutoCloseable> of(RowSettings settings) throws Exception {
    Key key = new Key(settings.model(), settings.task(), settings.engine());
    synchronized (SharedModel.class) {
      Opened opened = OPEN.get(key);
      if (opened == null) {
        closeUnused();
        opened = open(settings);
        OPEN.put(key, opened);
      }
      USERS.merge(key, 1, Integer::sum);
      return new SharedModel<>(key, opened.model);
    }
  }

  @Override
  public void close() {
    synchronized (SharedModel.class) {
      USERS.merge(key, -1, Integer::sum);
    }
  }

  /** The number of open models. */
  static synchronized int open() {
    return OPEN.size();
  }

  /** Closes the models that no task uses. */
  static synchronized void closeUnused() throws Exception {
    for (Map.Entry<Key, Integer> each : Map.copyOf(USERS).entrySet()) {
      if (each.getValue() == 0) {
        USERS.remove(each.getKey());
        OPEN.remove(each.getKey()).close();
      }
    }
  }

  private static Opened open(RowSettings settings) throws IOException {
    RowSettings.Engine engine = settings.engine();
    if (!engine.device().equals("reference")) {
      Backends.nativeUnavailable()
          .ifPresent(
              why -> {
                throw new IllegalStateException("the executor on " + RankOffer.here() + ": " + why);
              });
    }
    Place place = place(settings.model());
    try {
      return new Opened(open(settings, place.path), place);
    } catch (RuntimeException | Error e) {
      place.close();
      throw e;
    }
  }

  private static AutoCloseable open(RowSettings settings, Path path) {
    RowSettings.Engine engine = settings.engine();
    int threads =
        engine.threads() > 0
            ? engine.threads()
            : SparkEnv.get().conf().getInt("spark.executor.cores", 0);
    RetrievalOptions reading =
        new RetrievalOptions(
            engine.device(),
            threads,
            Precision.FLOAT32,
            engine.options().weights(),
            engine.context() == 0 ? RetrievalOptions.USUAL.longest() : engine.context());
    return switch (settings.task()) {
      case TEXT ->
          TextService.open(
              path,
              engine.options(),
              ServiceOptions.USUAL.withWaiting(WAITING).withDevice(engine.type(), threads));
      case EMBEDDING -> EmbeddingModel.open(path, reading);
      case LIKELIHOOD -> ScoringModel.open(path, reading);
    };
  }

  /**
   * Where a model is on this machine: a name of the hub, a path, a file of {@code addFile}, or a
   * copy of a folder in a Hadoop file system.
   */
  static Place place(String model) throws IOException {
    if (ModelName.in(model).isPresent()) {
      return new Place(Path.of(model), null);
    }
    String local = model.startsWith("file:") ? java.net.URI.create(model).getPath() : model;
    if (Files.exists(Path.of(local))) {
      return new Place(Path.of(local), null);
    }
    if (!local.contains(":")) {
      Path file = Path.of(SparkFiles.get(local));
      Require.that(
          Files.exists(file),
          "there is no model %s on %s, neither as a path nor as a file of SparkContext.addFile",
          model,
          RankOffer.here());
      return new Place(file, null);
    }
    TemporaryFolder copy = TemporaryFolder.of("panamoe-model-");
    try {
      Configuration reached = SparkHadoopUtil.get().newConfiguration(SparkEnv.get().conf());
      ClusterFolder folder = new ClusterFolder(model, reached);
      return new Place(folder.fetchModel(copy.path().resolve("model")), copy);
    } catch (IOException | RuntimeException | Error e) {
      copy.close();
      throw e;
    }
  }
}
