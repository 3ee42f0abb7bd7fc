package panamoe.spark;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;
import panamoe.io.Require;
import panamoe.text.ChatMessage;
import panamoe.text.ChatOptions;
import panamoe.text.Embedding;
import panamoe.text.EmbeddingModel;
import panamoe.text.EmbeddingOptions;
import panamoe.text.GenerationOptions;
import panamoe.text.GenerationResult;
import panamoe.text.ScoringModel;
import panamoe.text.TextRequest;
import panamoe.text.TextService;

/**
 * Computes the values of a partition's rows. Rows are handed in ahead of the one whose value is
 * waited for, so that a single task fills the engine.
 */
final class RowTask implements MapPartitionsFunction<Row, Row> {
  private static final long serialVersionUID = 1;

  /** Rows ahead for each sequence that is computed at a time. */
  private static final int AHEAD = 2;

  private static final int TEXTS_TOGETHER = 64;

  private final RowSettings settings;
  private final int input;
  private final int choices;
  private final int seed;

  RowTask(RowSettings settings, StructType schema) {
    this.settings = settings;
    RowSettings.Columns columns = settings.columns();
    this.input = schema.fieldIndex(columns.input());
    this.choices = columns.choices() == null ? -1 : schema.fieldIndex(columns.choices());
    this.seed = columns.seed() == null ? -1 : schema.fieldIndex(columns.seed());
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) throws Exception {
    if (!rows.hasNext()) { // no model for an empty partition
      return rows;
    }
    SharedModel<AutoCloseable> model = SharedModel.of(settings);
    atEnd(model::close);
    Rows numbered = new Rows(rows);
    return switch (model.opened()) {
      case TextService service -> new Ahead(numbered, row -> completion(service, row));
      case EmbeddingModel embedder -> new Batches(numbered, embedder);
      case ScoringModel scorer -> new Ahead(numbered, row -> scores(scorer, row));
      default -> throw new IllegalStateException("no model of " + settings.task());
    };
  }

  private static void atEnd(Runnable action) {
    TaskCompletionListener listener = _ -> action.run();
    TaskContext.get().addTaskCompletionListener(listener);
  }

  /** The rows of a partition, with the number of the last one for messages. */
  private final class Rows implements Iterator<Row> {
    private final Iterator<Row> all;
    private long number;

    Rows(Iterator<Row> all) {
      this.all = all;
    }

    @Override
    public boolean hasNext() {
      return all.hasNext();
    }

    /** The next row, whose prompt is neither null nor empty. */
    @Override
    public Row next() {
      Row row = all.next();
      number++;
      Object prompt = row.get(input);
      boolean empty =
          prompt == null
              || prompt instanceof String text && text.isEmpty()
              || !(prompt instanceof String) && row.getList(input).isEmpty();
      Require.that(
          !empty,
          "column %s is %s in row %s of partition %s",
          settings.columns().input(),
          prompt == null ? "null" : "empty",
          number,
          TaskContext.getPartitionId());
      return row;
    }
  }

  /**
   * A row that was handed in.
   *
   * @param value of its result
   */
  private record Asked(Row row, Future<?> result, UnaryOperator<Object> value) {}

  private Asked completion(TextService service, Row row) {
    Long own = seed < 0 || row.isNullAt(seed) ? null : Long.valueOf(row.getLong(seed));
    TextRequest request;
    if (row.get(input) instanceof String prompt) {
      request = TextRequest.of(prompt, settings.completion().options(own, prompt));
    } else {
      List<ChatMessage> messages = row.<Row>getList(input).stream().map(RowTask::message).toList();
      GenerationOptions options = settings.completion().options(own, messages.toString());
      request = TextRequest.of(messages, ChatOptions.of(options));
    }
    return new Asked(
        row,
        service.submit(request).result(),
        done -> ((GenerationResult) done).message().content());
  }

  private static ChatMessage message(Row message) {
    return ChatMessage.of(
        message.getString(message.fieldIndex("role")),
        message.getString(message.fieldIndex("content")));
  }

  private Asked scores(ScoringModel model, Row row) {
    Require.that(!row.isNullAt(choices), "column %s is null", settings.columns().choices());
    List<String> texts = row.getList(choices);
    FutureTask<double[]> score =
        new FutureTask<>(() -> model.logLikelihoods(row.getString(input), texts));
    Thread.startVirtualThread(score);
    return new Asked(row, score, UnaryOperator.identity());
  }

  private static Object result(Future<?> result) {
    try {
      return result.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException cause
          ? cause
          : new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("the task was interrupted", e);
    }
  }

  private static Row with(Row row, Object value) {
    Object[] values = new Object[row.size() + 1];
    for (int i = 0; i < row.size(); i++) {
      values[i] = row.get(i);
    }
    values[row.size()] = value;
    return RowFactory.create(values);
  }

  /** Hands rows in ahead of the one that is waited for. */
  private final class Ahead implements Iterator<Row> {
    private final Iterator<Row> rows;
    private final Function<Row, Asked> ask;
    private final Deque<Asked> asked = new ArrayDeque<>();

    Ahead(Iterator<Row> rows, Function<Row, Asked> ask) {
      this.rows = rows;
      this.ask = ask;
      // Of a task that ends before its last row.
      atEnd(() -> asked.forEach(each -> each.result.cancel(true)));
    }

    @Override
    public boolean hasNext() {
      return !asked.isEmpty() || rows.hasNext();
    }

    @Override
    public Row next() {
      while (rows.hasNext() && asked.size() < AHEAD * settings.engine().sequences()) {
        asked.add(ask.apply(rows.next()));
      }
      Asked first = asked.remove();
      return with(first.row, first.value.apply(result(first.result)));
    }
  }

  /** Embeds several rows at a time. */
  private final class Batches implements Iterator<Row> {
    private final Iterator<Row> rows;
    private final EmbeddingModel model;
    private final Deque<Row> ready = new ArrayDeque<>();

    Batches(Iterator<Row> rows, EmbeddingModel model) {
      this.rows = rows;
      this.model = model;
    }

    @Override
    public boolean hasNext() {
      return !ready.isEmpty() || rows.hasNext();
    }

    @Override
    public Row next() {
      if (ready.isEmpty()) {
        List<Row> batch = new ArrayList<>();
        while (rows.hasNext() && batch.size() < TEXTS_TOGETHER) {
          batch.add(rows.next());
        }
        EmbeddingOptions options = EmbeddingOptions.USUAL.withPromptName(settings.promptName());
        List<String> texts = batch.stream().map(row -> row.getString(input)).toList();
        List<Embedding> vectors = model.embed(texts, options);
        for (int i = 0; i < batch.size(); i++) {
          ready.add(with(batch.get(i), column(vectors.get(i).vector())));
        }
      }
      return ready.remove();
    }

    private Object column(float... vector) {
      if (!settings.columns().vectors()) {
        return vector;
      }
      double[] wide = new double[vector.length];
      for (int i = 0; i < wide.length; i++) {
        wide[i] = vector[i];
      }
      return Vectors.dense(wide);
    }
  }
}
