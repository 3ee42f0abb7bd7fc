package panamoe.harness.serve;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Stream;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.template.Prompt;
import panamoe.engine.GenerationRequest;
import panamoe.engine.routes.RoutingException;
import panamoe.engine.schedule.EngineThread;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Chat completions and completions. Thread-safe.
 *
 * @param engine gives the engine; throws an ApiError while the server has none
 * @param log keeps the texts; null: nobody does
 */
record TextEndpoint(
    ServedModel model,
    Limits limits,
    Admission admission,
    Metrics metrics,
    Connections connections,
    Supplier<EngineThread> engine,
    RequestLog log) {
  void chat(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    Tools tools = ToolFields.of(fields);
    ChatFormat chat = model.requireChat();
    Prompt prompt = ChatFields.prompt(fields, chat, tools);
    boolean logprobs = fields.flag("logprobs");
    int top = fields.integer("top_logprobs", 0, 0, GenerationRequest.MOST_LOGPROBS);
    fields.require(top <= 0 || logprobs, "top_logprobs", "asks for logprobs to be true");
    fields.refuse("functions", "function_call", "audio", "web_search_options");
    fields.refuseExcept("modalities", JsonNodeFactory.instance.arrayNode().add("text"));
    fields.ignore("verbosity");
    List<int[]> prompts = List.of(chat.tokens(prompt));
    TextRequest request = read(call, fields, prompts, tools, logprobs ? top : -1, chat.ends());
    boolean free = !tools.required() && !Constraints.isFormat(fields);
    List<Reply> replies =
        chat.repliesPlainly(tools.any())
            ? List.of()
            : Stream.generate(() -> chat.reply(prompt, free, tools.any()))
                .limit(request.texts())
                .toList();
    ChatForm form = new ChatForm(head("chatcmpl-"), request, model.tokenizer(), replies);
    write(call, fields, request, form);
  }

  void complete(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    List<int[]> prompts = CompletionPrompts.of(fields, model);
    int logprobs = fields.integer("logprobs", -1, 0, GenerationRequest.MOST_LOGPROBS);
    if (fields.flag("echo")) {
      throw ApiError.unsupported("echo is not supported", "echo");
    }
    fields.refuse("suffix");
    fields.refuseExcept("best_of", IntNode.valueOf(1));
    if (fields.take("tools") != null) {
      throw ApiError.unsupported("tools belong to chat: ask /v1/chat/completions", "tools");
    }
    TextRequest request = read(call, fields, prompts, Tools.NONE, logprobs, ChatFormat.Ends.NONE);
    write(call, fields, request, new CompletionForm(head("cmpl-"), request, model.tokenizer()));
  }

  private TextRequest read(
      HttpExchange call,
      Fields fields,
      List<int[]> prompts,
      Tools tools,
      int logprobs,
      ChatFormat.Ends ends)
      throws InterruptedException {
    try {
      return new TextFields(fields, model)
          .read(prompts, tools, logprobs, limits.defaultMaxTokens(), call, ends);
    } catch (InterruptedException e) {
      metrics.cancelled("disconnect");
      throw e;
    }
  }

  private ResponseForm.Head head(String prefix) {
    return new ResponseForm.Head(
        prefix + UUID.randomUUID().toString().replace("-", ""),
        Instant.now().getEpochSecond(),
        model.name(),
        model.fingerprint());
  }

  private void write(HttpExchange call, Fields fields, TextRequest request, ResponseForm form)
      throws IOException, InterruptedException {
    EngineThread ready = engine.get();
    RequestLog.Request logged = log == null ? null : log.request(form.head(), fields);
    try (Admission.Place place = admission.admit(request)) {
      Connection connection = connections.open(call::cut);
      RunningSequences texts =
          new RunningSequences(ready, request, connection.events(), place, metrics, logged);
      try {
        start(texts, request);
        TextResponse answer =
            new TextResponse(call, request, form, ready, connection, limits.ping());
        if (request.answer().stream()) {
          answer.stream();
        } else {
          answer.whole();
        }
      } catch (IOException | InterruptedException e) {
        metrics.cancelled(connection.slow() ? "slow_reader" : "disconnect");
        throw e;
      } finally {
        texts.cancel();
        connections.closed(connection);
      }
    }
  }

  private static void start(RunningSequences texts, TextRequest request) {
    try {
      texts.start();
    } catch (RoutingException e) {
      String param = request.routing().topK().isEmpty() ? "moe" : "moe.top_k";
      throw ApiError.invalid(e.getMessage(), param);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), null);
    } catch (IllegalStateException _) {
      throw TextResponse.stopped(ServerState.FAILED);
    }
  }
}
