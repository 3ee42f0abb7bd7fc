package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.harness.report.Table;
import panamoe.io.Parts;
import panamoe.parallel.Topology;
import panamoe.plan.Constant;
import panamoe.plan.StepTime;

/**
 * What a search for plans has found: those of serving or of training.
 *
 * @param <P> a plan
 */
interface PlanReport<P> {
  /**
   * The plans that no other beats.
   *
   * @param all by cards
   */
  record Front<P>(List<P> all, P smallest, P cheapest, P fastest) {}

  /**
   * Cards on which nothing fits.
   *
   * @param least memory of the plan that takes least; null if no degrees divide the model
   * @param why the rest of a sentence that begins with their number
   */
  record Misfit(int cards, Parts least, String why) {
    static Misfit of(int cards, Parts least, double room) {
      return new Misfit(
          cards,
          least,
          String.format(
              Locale.ROOT,
              " does not fit: a card needs %.1f GB, %.1f GB of it for %s, and has room for %.1f GB",
              least.total() / 1e9,
              least.largest() / 1e9,
              least.largestName(),
              room / 1e9));
    }
  }

  /** In one line, for headings. */
  String title();

  Front<P> front();

  List<Misfit> misfits();

  /** Settings of all plans, to which plans are added. */
  ObjectNode settings();

  Map<String, Constant> constants();

  ObjectNode json(P plan);

  Topology topology(P plan);

  StepTime time(P plan);

  /** Of the fullest card. */
  Parts memory(P plan);

  /** The command that runs a plan. */
  String launch(P plan);

  /** What that command does with the fastest plan. */
  String launched();

  /** What the table has of a plan beside degrees and memory. */
  List<Table.Column<P>> columns();

  /** Further tables, by heading. */
  Map<String, Table<P>> more();

  /** A sentence behind the tables; empty: none. */
  String remark();

  /** What skew costs; null: not asked for. */
  SkewTable skew();

  /** What all plans have in common, in a sentence. */
  String introduction();

  /** Figures of the plans under a heading, for a page. */
  String figures();

  /** What is timed: a token or a step. */
  String timed();

  /** What the plan is best in, or nothing. */
  default String best(P plan) {
    List<String> best = new ArrayList<>();
    if (plan.equals(front().smallest)) {
      best.add("fewest cards");
    }
    if (plan.equals(front().cheapest)) {
      best.add("cheapest");
    }
    if (plan.equals(front().fastest)) {
      best.add("fastest");
    }
    return String.join(", ", best);
  }

  /** One object. */
  default ObjectNode json() {
    ObjectNode json = settings();
    json.set("constants", Constants.json(constants()));
    List<P> all = front().all;
    all.forEach(plan -> json.withArray("front").add(json(plan).put("launch", launch(plan))));
    json.put("smallest", all.indexOf(front().smallest));
    json.put("cheapest", all.indexOf(front().cheapest));
    json.put("fastest", all.indexOf(front().fastest));
    for (Misfit misfit : misfits()) {
      ObjectNode object = json.withArray("does_not_fit").addObject().put("cards", misfit.cards);
      if (misfit.least != null) {
        object.set("memory", misfit.least.toJson());
      }
    }
    if (skew() != null) {
      json.set("skew", skew().json());
    }
    return json;
  }
}
