package panamoe.conversation;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import panamoe.conversation.template.TemplateException;
import panamoe.data.Corpus;
import panamoe.data.PackedExamples;
import panamoe.data.Permutation;
import panamoe.data.TokenSource;
import panamoe.data.TokenStream;
import panamoe.data.Tokenizer;
import panamoe.data.Tokens;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.io.Sha256;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Conversations to train a model on in its own chat format, or pairs of answers. A share of them is
 * for validation, chosen by a hash of their number. Immutable.
 */
public final class ChatCorpus implements TokenSource {
  /** The part that is for validation, unless another is chosen. */
  public static final double VALIDATION_SHARE = 0.02;

  private final Path file;
  private final boolean pairs;
  private final double share;
  private final Tokenizer tokenizer;
  private final List<List<PackedExamples.Example>> examples; // of each conversation or pair
  private final String sha256;

  private ChatCorpus(Path file, ChatFormat format, double share, List<List<Conversation>> read) {
    this.file = file;
    this.pairs = read.getFirst().size() == 2;
    this.share = share;
    this.tokenizer = format.tokenizer();
    this.examples = new ArrayList<>();
    for (List<Conversation> each : read) {
      try {
        examples.add(pairs ? pair(format, each) : examples(format, each.getFirst()));
      } catch (TemplateException | IllegalArgumentException e) {
        throw new DataException(place(examples.size()) + ": " + e.getMessage(), e);
      }
    }
    if (examples.size() < 2) {
      throw new DataException(
          "%s has one %s, expected one to train on and one to validate on", file, kind());
    }
    MessageDigest digest = Sha256.digest();
    digest.update(ByteBuffer.allocate(Double.BYTES).putDouble(0, share));
    examples.stream().flatMap(List::stream).forEach(each -> update(digest, each));
    this.sha256 = Sha256.hex(digest);
  }

  private static void update(MessageDigest digest, PackedExamples.Example example) {
    ByteBuffer tokens = ByteBuffer.allocate(Integer.BYTES * (example.tokens().length + 1));
    tokens.putInt(example.tokens().length).asIntBuffer().put(example.tokens());
    digest.update(tokens.array());
    digest.update(example.targets().toByteArray());
  }

  private static List<PackedExamples.Example> examples(
      ChatFormat format, Conversation conversation) {
    return AssistantTurns.examples(format, conversation, JsonNodeFactory.instance.objectNode());
  }

  /** The chosen answer, then the rejected one. */
  private static List<PackedExamples.Example> pair(ChatFormat format, List<Conversation> answers) {
    List<PackedExamples.Example> pair = new ArrayList<>();
    for (Conversation answer : answers) {
      List<PackedExamples.Example> examples = examples(format, answer);
      Require.that(
          examples.size() == 1,
          "the template shows an answer's turns in %s prompts; give an answer of one turn",
          examples.size());
      pair.addAll(examples);
    }
    Require.that(
        !Arrays.equals(pair.getFirst().tokens(), pair.getLast().tokens()),
        "the template shows the chosen and the rejected answer equally");
    return pair;
  }

  /**
   * Reads a file of JSON lines.
   *
   * @param format of the model that is trained
   * @param share the part of the conversations that is for validation, more than 0 and less than 1;
   *     at least one is
   * @throws DataException with the number of a conversation, if the template refuses it, no turn is
   *     the assistant's, or it has no turn that can be trained; if there are fewer than two
   */
  public static ChatCorpus read(Path file, ChatFormat format, double share) {
    return new ChatCorpus(
        file, format, share, ConversationReader.read(file).stream().map(List::of).toList());
  }

  /** Like {@link #read}, of pairs of answers, which may not be equal. */
  public static ChatCorpus pairs(Path file, ChatFormat format, double share) {
    return new ChatCorpus(
        file,
        format,
        share,
        ConversationReader.pairs(file).stream()
            .map(pair -> List.of(pair.chosen(), pair.rejected()))
            .toList());
  }

  /** The part that is for validation. */
  public double share() {
    return share;
  }

  /** Whether it holds pairs of answers. */
  public boolean ofPairs() {
    return pairs;
  }

  private String kind() {
    return pairs ? "pair" : "conversation";
  }

  private String place(int index) {
    return file + ", " + kind() + " " + (index + 1);
  }

  /** Of the examples, as the model's template and tokenizer show them, and of the share. */
  @Override
  public String sha256() {
    return sha256;
  }

  /**
   * Sequences of L tokens with the conversations' examples.
   *
   * @throws DataException with the number of the conversation or pair, if an example, or both
   *     answers together, are longer than a sequence
   */
  public PackedExamples packed(int length, long seed) {
    List<List<PackedExamples.Example>> training = new ArrayList<>();
    List<List<PackedExamples.Example>> validation = new ArrayList<>();
    for (int i = 0; i < examples.size(); i++) {
      List<PackedExamples.Example> all = examples.get(i);
      for (List<PackedExamples.Example> group : pairs ? List.of(all) : singles(all)) {
        if (PackedExamples.length(group) > length) {
          throw new DataException(
              "%s takes %s tokens, more than the %s of a sequence; give a longer --context, or"
                  + " leave it out",
              place(i), PackedExamples.length(group), length);
        }
        (part(i) == Corpus.Part.TRAINING ? training : validation).add(group);
      }
    }
    return new PackedExamples(training, validation, tokenizer, length, seed);
  }

  private static <T> List<List<T>> singles(List<T> all) {
    return all.stream().map(List::of).toList();
  }

  /** The tokens of one part's examples, one after the other. */
  @Override
  public Tokens tokens(Corpus.Part part, Tokenizer other, long most, DoubleConsumer progress) {
    TokenStream tokens = new TokenStream();
    for (int i = 0; i < examples.size() && tokens.size() < most; i++) {
      if (part(i) == part) {
        examples.get(i).forEach(example -> tokens.append(example.tokens()));
        progress.accept(Math.min(1, (double) tokens.size() / most));
      }
    }
    progress.accept(1);
    return tokens;
  }

  private Corpus.Part part(int index) {
    int size = examples.size();
    long chosen = Math.clamp(Math.round(size * share), 1, size - 1);
    return new Permutation(size, 0).at(index) < chosen
        ? Corpus.Part.VALIDATION
        : Corpus.Part.TRAINING;
  }
}
